use super::*;
use crate::io::commit::scratch;
use crate::io::hash::sha256_path;
use crate::io::image_names::ImageNames;
use crate::io::responses::Responses;
use crate::scores::{Summary, repeats::Trials, score};

fn experiment(neurons: usize, repeats: usize) -> Experiment {
    simulate(&Settings { neurons, repeats, ..Settings::default() }).unwrap()
}

#[test]
fn counts_have_the_mean_that_the_truth_says() {
    let e = experiment(30, 10);
    let (mut chi2, mut cells) = (0.0, 0.0);
    for (at, counts) in e.responses.outer_iter().enumerate() {
        for (image, counts) in counts.outer_iter().enumerate() {
            let present: Vec<f64> = counts.iter().filter(|c| !c.is_nan()).map(|&c| f64::from(c)).collect();
            assert!(present.len() >= 5);
            let rate = f64::from(e.expected[[at, image]]);
            assert!(rate > 0.0 && rate <= 30.0);
            let mean = present.iter().sum::<f64>() / present.len() as f64;
            chi2 += (mean - rate).powi(2) * present.len() as f64 / rate;
            cells += 1.0;
        }
    }
    // Each term has mean 1 and variance 2 + 1 / (n rate), below 2.5.
    assert!((chi2 / cells - 1.0).abs() < 5.0 * (2.5f64 / cells).sqrt(), "{}", chi2 / cells);
    let missing = e.responses.iter().filter(|c| c.is_nan()).count() as f64 / e.responses.len() as f64;
    assert!(missing > 0.01 && missing < 0.1, "{missing}");
}

#[test]
fn estimated_fev_is_the_true_one() {
    let e = experiment(200, 10);
    let (mut error, mut squares) = (0.0, 0.0);
    for (counts, neuron) in e.responses.outer_iter().zip(&e.neurons) {
        let difference = Trials::new(counts.outer_iter()).fev() - neuron.true_fev;
        assert!(difference.abs() < 0.12, "{neuron:?}: off by {difference}");
        if neuron.cell == Cell::Untuned {
            assert!((difference).abs() < 0.03 && neuron.true_fev == 0.0, "{difference}");
        } else {
            assert!(neuron.true_fev > 0.2, "{neuron:?} is hardly driven");
        }
        error += difference / 200.0;
        squares += difference * difference / 200.0;
    }
    assert!(error.abs() < 0.01 && squares.sqrt() < 0.04, "bias {error}, root mean square {}", squares.sqrt());
}

#[test]
fn the_truth_explains_all_that_can_be_explained() {
    let e = experiment(60, 10);
    let summary = Summary::new(&score(e.responses.view(), e.expected.view(), 0).unwrap());
    assert!((summary.median_feve - 1.0).abs() < 0.02, "{}", summary.median_feve);
    assert_eq!((summary.feve_neurons, summary.constant_neurons), (54, 6));
    assert!(summary.median_r > 0.9 && summary.median_test_split_half > 0.8, "{summary:?}");
}

#[test]
fn areas_differ_in_size_and_kinds_have_their_shares() {
    let e = experiment(60, 2);
    let of = |cell: Cell| e.neurons.iter().filter(|n| n.cell == cell).count();
    assert_eq!((of(Cell::Simple), of(Cell::Complex), of(Cell::Untuned)), (32, 22, 6));
    let largest = |area: &str| {
        let fields = e.neurons.iter().filter(|n| n.area == area).filter_map(|n| n.field);
        fields.map(|f| f.sigma).fold(0.0, f64::max)
    };
    assert!(largest("V1") > 0.0 && largest("V1") < largest("LM") && largest("LM") < largest("V4"));
    let distinct: std::collections::BTreeSet<_> =
        e.images.outer_iter().map(|i| i.iter().copied().collect::<Vec<u8>>()).collect();
    assert_eq!(distinct.len(), 320);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = scratch("simulate");
    let settings = Settings { images: 20, size: 16, neurons: 7, repeats: 3, ..Settings::default() };
    for (name, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        write(&simulate(&Settings { seed, ..settings.clone() }).unwrap(), &folder.join(name)).unwrap();
    }
    let hash = |name: &str| sha256_path(&folder.join(name)).unwrap();
    assert_eq!(hash("a"), hash("b"));
    assert_ne!(hash("a"), hash("c"));
    // An earlier simulation may be replaced.
    write(&simulate(&settings).unwrap(), &folder.join("c")).unwrap();
    assert_eq!(hash("a"), hash("c"));
}

#[test]
fn what_is_written_is_read_again() {
    let folder = scratch("simulate-read").join("experiment");
    let e =
        simulate(&Settings { images: 40, size: 16, neurons: 5, repeats: 4, ..Settings::default() }).unwrap();
    write(&e, &folder).unwrap();
    let images = ImageNames::counted(40);
    let responses = Responses::read(&folder.join("responses.npy"), None, None, Some(&images)).unwrap();
    assert_eq!((responses.n_neurons(), responses.n_images(), responses.n_repeats()), (5, 40, 4));
    assert_eq!(Split::read(&folder.join("split.csv"), &images).unwrap(), e.split);
    let bytes = std::fs::read(folder.join("images.npy")).unwrap();
    assert_eq!(&bytes[bytes.len() - 40 * 256..], e.images.as_slice().unwrap());
    let table = std::fs::read_to_string(folder.join("neurons.csv")).unwrap();
    assert!(table.lines().all(|line| line.split(',').count() == 9) && table.lines().count() == 6);
}

#[test]
fn ridge_from_pixels_predicts_simple_cells() {
    let e = experiment(60, 10);
    let pixels = e.images.mapv(|l| f64::from(l) / 127.5 - 1.0).into_shape_with_order((320, 64 * 64)).unwrap();
    let average = Responses {
        offsets: vec![0.0; e.responses.dim().0],
        repeats: e.responses.clone(),
        neuron_names: None,
    }
    .average();
    let (train, test) = (pixels.select(Axis(0), &e.split.train), pixels.select(Axis(0), &e.split.test));
    let mut kernel = train.dot(&train.t());
    // The best of a few penalties for all neurons together is enough here.
    let penalty = 0.03 * kernel.diag().mean().unwrap();
    kernel.diag_mut().iter_mut().for_each(|k| *k += penalty);
    let factor = cholesky(&kernel);
    let mut r = Vec::new();
    for (at, _) in e.neurons.iter().enumerate().filter(|(_, n)| n.cell == Cell::Simple) {
        let y: Vec<f64> = e.split.train.iter().map(|&i| average[[at, i]]).collect();
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        let dual = solve(&factor, y.iter().map(|y| y - mean).collect());
        let prediction = test.dot(&train.t().dot(&ndarray::Array1::from(dual)));
        let truth: Vec<f64> = e.split.test.iter().map(|&i| average[[at, i]]).collect();
        r.push(crate::scores::agreement::pearson_r(&truth, prediction.as_slice().unwrap()));
    }
    r.sort_by(f64::total_cmp);
    assert!(r[r.len() / 2] > 0.6, "median {} of {r:?}", r[r.len() / 2]);
}

fn cholesky(matrix: &Array2<f64>) -> Array2<f64> {
    let n = matrix.nrows();
    let mut lower = Array2::<f64>::zeros((n, n));
    for i in 0..n {
        for j in 0..=i {
            let rest = matrix[[i, j]] - lower.slice(s![i, ..j]).dot(&lower.slice(s![j, ..j]));
            lower[[i, j]] = if i == j { rest.sqrt() } else { rest / lower[[j, j]] };
        }
    }
    lower
}

fn solve(lower: &Array2<f64>, mut y: Vec<f64>) -> Vec<f64> {
    let n = y.len();
    for i in 0..n {
        y[i] = (y[i] - (0..i).map(|j| lower[[i, j]] * y[j]).sum::<f64>()) / lower[[i, i]];
    }
    for i in (0..n).rev() {
        y[i] = (y[i] - (i + 1..n).map(|j| lower[[j, i]] * y[j]).sum::<f64>()) / lower[[i, i]];
    }
    y
}

#[test]
fn senseless_settings_are_refused() {
    let base = Settings::default;
    let area = |sigma| vec![Area { name: "V1".into(), sigma }];
    for settings in [
        Settings { images: 9, ..base() },
        Settings { neurons: 0, ..base() },
        Settings { repeats: 0, ..base() },
        Settings { size: usize::MAX, ..base() },
        Settings { tuned: f64::NAN, ..base() },
        Settings { areas: Vec::new(), ..base() },
        Settings { areas: area((0.2, 0.1)), ..base() },
        Settings { areas: area((0.0, f64::NAN)), ..base() },
    ] {
        assert_eq!(simulate(&settings).unwrap_err().kind(), Kind::Usage, "{settings:?}");
    }
    assert_eq!(
        simulate(&Settings { repeats: 1, images: 10, ..base() }).unwrap().responses.dim(),
        (60, 10, 1)
    );
}
