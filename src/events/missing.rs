//! Missing frames of methods that need every frame.

/// A trace in f64, missing frames on a straight line between their neighbours; the first and last values go
/// on beyond the ends. None where every frame is missing.
pub fn filled(y: &[f32]) -> Option<Vec<f64>> {
    let there: Vec<usize> = (0..y.len()).filter(|t| !y[*t].is_nan()).collect();
    let (first, last) = (*there.first()?, *there.last()?);
    let mut values: Vec<f64> = y.iter().map(|v| f64::from(*v)).collect();
    let ends = [values[first], values[last]];
    values[..first].fill(ends[0]);
    values[last + 1..].fill(ends[1]);
    for pair in there.windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let (start, step) = (values[from], (values[to] - values[from]) / (to - from) as f64);
        for (k, value) in values[from + 1..to].iter_mut().enumerate() {
            *value = start + step * (k + 1) as f64;
        }
    }
    Some(values)
}
