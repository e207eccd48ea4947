#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use npyz::WriterBuilder as _;

/// A new, empty folder.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("striate-images-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn sample(image: usize, y: usize, x: usize, c: usize) -> u8 {
    ((x * 37 + y * 91 + c * 53 + x * y + image * 17) % 256) as u8
}

/// Image `image` of the drawings: RGB.
fn drawing(image: usize, height: usize, width: usize) -> image::RgbImage {
    image::RgbImage::from_fn(width as u32, height as u32, |x, y| {
        image::Rgb([0, 1, 2].map(|c| sample(image, y as usize, x as usize, c)))
    })
}

/// Saves an array of this shape; `value` gets the index along each axis.
fn save_array<T: npyz::AutoSerialize + Copy>(path: &Path, shape: &[usize], value: impl Fn(&[usize]) -> T) {
    let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let shape64: Vec<u64> = shape.iter().map(|n| *n as u64).collect();
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(&shape64).writer(file).begin_nd().unwrap();
    for index in ndarray::indices(ndarray::IxDyn(shape)) {
        writer.push(&value(ndarray::Dimension::slice(&index))).unwrap();
    }
    writer.finish().unwrap();
}

fn plain(size: Option<Size>, normalise: Normalise) -> Preparation {
    Preparation { size, filter: Filter::Bilinear, normalise }
}

fn message<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn a_folder_is_read_in_natural_order() {
    let path = folder("order");
    for (i, name) in ["image2.png", "image10.PNG", "image1.tif"].iter().enumerate() {
        drawing(i, 3, 4)
            .save_with_format(path.join(name), image::ImageFormat::from_path(name).unwrap())
            .unwrap();
    }
    for other in [".hidden.png", "notes.txt"] {
        std::fs::write(path.join(other), "x").unwrap();
    }
    std::fs::create_dir(path.join("sub.png")).unwrap();
    let images = Images::open(&path).unwrap();
    assert_eq!(images.names(), ["image1.tif", "image2.png", "image10.PNG"]);
    let batch = images.batch(1..3, &plain(None, Normalise::None)).unwrap();
    assert_eq!((batch.count, batch.height, batch.width, batch.pixels.len()), (2, 3, 4, 24));
    for (position, image) in [(0, 0), (1, 1)] {
        for (y, x) in [(0, 0), (2, 1), (1, 3)] {
            let want = [0, 1, 2].map(|c| f32::from(sample(image, y, x, c)));
            assert_eq!(batch.pixels[position * 12 + y * 4 + x], [want[0], want[1], want[2], 0.0]);
        }
    }
    let described = images.describe().unwrap().to_string();
    assert_eq!(described, "3 images, 3x4 (height x width), u8, channels: 3");
    assert_eq!(images.batch(3..3, &plain(None, Normalise::None)).unwrap().count, 0);
    assert!(images.batch(2..4, &plain(None, Normalise::None)).is_err());
}

#[test]
fn what_is_not_a_source_is_an_error() {
    let path = folder("none");
    assert!(message(Images::open(&path)).contains("no image among 0"));
    std::fs::write(path.join("a.txt"), "x").unwrap();
    assert!(message(Images::open(&path)).contains("no image among 1"));
    assert!(message(Images::open(&path.join("a.txt"))).contains("not a source of images"));
    assert!(message(Images::open(&path.join("b.png"))).contains("Check the path"));
    save_array(&path.join("i.npy"), &[2, 3, 4], |_| 1i64);
    assert!(message(Images::open(&path.join("i.npy"))).contains("stored as I64"));
    save_array(&path.join("a.npy"), &[2, 3, 4, 3], |_| 1u8);
    assert!(message(Images::open(&path.join("a.npy"))).contains("has its channels at"));
}

#[test]
fn normalisations_are_those_of_the_networks() {
    let path = folder("normalise").join("one.png");
    image::RgbImage::from_raw(1, 1, vec![255, 128, 3]).unwrap().save(&path).unwrap();
    let images = Images::open(&path).unwrap();
    let pixel = |n| images.batch(0..1, &plain(None, n)).unwrap().pixels[0];
    assert_eq!(pixel(Normalise::None), [255.0, 128.0, 3.0, 0.0]);
    // (255 / 255 - .485) / .229 and so on, by hand.
    let near = |a: [f32; 4], b: [f32; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-6);
    assert!(near(pixel(Normalise::Imagenet), [2.248_908_3, 0.205_182_1, -1.752_156_9, 0.0]));
    assert!(near(pixel(Normalise::Caffe), [-101.006_99, 11.331_23, 132.321_08, 0.0]));
    let own = Normalise::Channels { mean: [1.0, 0.0, 0.0], std: [0.5, 1.0, 2.0] };
    assert!(near(pixel(own), [0.0, 128.0 / 255.0, 3.0 / 510.0, 0.0]));
    let flat = Normalise::Channels { mean: [0.0; 3], std: [1.0, 0.0, 1.0] };
    assert!(message(images.batch(0..1, &plain(None, flat))).contains("greater than 0"));
}

#[test]
fn grey_is_repeated_and_files_are_resized_as_bytes() {
    let path = folder("grey");
    let pixels: Vec<u8> = (0..13 * 9).map(|i| sample(0, i / 13, i % 13, 0)).collect();
    image::GrayImage::from_raw(13, 9, pixels.clone()).unwrap().save(path.join("a.png")).unwrap();
    let images = Images::open(&path).unwrap();
    let size = Size { height: 7, width: 5 };
    let batch = images.batch(0..1, &plain(Some(size), Normalise::None)).unwrap();
    let resizer = Resizer::new(Size { height: 9, width: 13 }, size, Filter::Bilinear).unwrap();
    let want = resizer.bytes(1, &pixels).unwrap();
    let got: Vec<[f32; 4]> = want.iter().map(|x| f32::from(*x)).map(|x| [x, x, x, 0.0]).collect();
    assert_eq!(batch.pixels, got);
}

#[test]
fn different_sizes_need_a_size() {
    let path = folder("sizes");
    for (name, height) in [("a.png", 3), ("b.png", 3), ("c.png", 5), ("d.png", 6)] {
        drawing(0, height, 4).save(path.join(name)).unwrap();
    }
    let images = Images::open(&path).unwrap();
    let own = plain(None, Normalise::None);
    let error = message(images.batch(1..4, &own));
    for part in ["c.png: the image is 5x4", "a.png is 3x4", "--size"] {
        assert!(error.contains(part), "{error}");
    }
    let size = Size { height: 2, width: 2 };
    let resized = plain(Some(size), Normalise::None);
    assert_eq!(images.batch(0..4, &resized).unwrap().pixels.len(), 16);
    assert_eq!(images.data_size_for(&resized).unwrap(), size);
    assert_eq!(images.data_size_for(&own).unwrap(), Size { height: 3, width: 4 });
    assert!(images.data_size_for(&plain(Some(Size { height: 0, width: 2 }), Normalise::None)).is_err());
}

#[test]
fn an_unreadable_image_is_named() {
    let path = folder("damaged");
    for name in ["a.png", "b.png", "c.png"] {
        drawing(0, 30, 30).save(path.join(name)).unwrap();
    }
    let data = std::fs::read(path.join("b.png")).unwrap();
    std::fs::write(path.join("b.png"), &data[..200]).unwrap();
    let images = Images::open(&path).unwrap();
    assert!(message(images.batch(0..3, &plain(None, Normalise::None))).contains("b.png: cannot be decoded"));
}

#[test]
fn arrays_of_every_layout_hold_the_same_images() {
    let path = folder("arrays");
    let at = |n: &[usize], y: usize, x: usize, c: usize| sample(n[0], y, x, c);
    save_array(&path.join("last.npy"), &[70, 4, 5, 3], |i| at(i, i[1], i[2], i[3]));
    save_array(&path.join("first.npy"), &[70, 3, 4, 5], |i| at(i, i[2], i[3], i[1]));
    save_array(&path.join("real.npy"), &[70, 4, 5, 3], |i| f64::from(at(i, i[1], i[2], i[3])) / 255.0);
    save_array(&path.join("grey.npy"), &[70, 4, 5], |i| at(i, i[1], i[2], 0));
    save_array(&path.join("one.npy"), &[70, 1, 4, 5], |i| f32::from(at(i, i[2], i[3], 0)));
    let batch = |name: &str, normalise| {
        Images::open(&path.join(name)).unwrap().batch(2..69, &plain(None, normalise)).unwrap()
    };
    let last = batch("last.npy", Normalise::Imagenet);
    assert_eq!((last.count, last.height, last.width), (67, 4, 5));
    assert_eq!(last, batch("first.npy", Normalise::Imagenet));
    for (a, b) in
        last.pixels.iter().flatten().zip(batch("real.npy", Normalise::Imagenet).pixels.iter().flatten())
    {
        assert!((a - b).abs() < 1e-5);
    }
    let grey = batch("grey.npy", Normalise::Caffe);
    assert_eq!(grey, batch("one.npy", Normalise::Caffe));
    let x = f32::from(sample(2, 0, 1, 0));
    assert_eq!(grey.pixels[1], [x - 104.00699, x - 116.66877, x - 122.67892, 0.0]);
    let images = Images::open(&path.join("real.npy")).unwrap();
    assert_eq!(images.describe().unwrap().to_string(), "70 images, 4x5 (height x width), f64, channels: 3");
    assert_eq!(images.names()[69], "69");
}

#[test]
fn floats_on_the_wrong_scale_or_not_finite_are_refused() {
    let path = folder("scale").join("x.npy");
    let fill = |bad: f32| {
        save_array(&path, &[3, 4, 5], |i| if i == [1, 2, 3] { bad } else { 0.5 });
        Images::open(&path).unwrap()
    };
    let error = message(fill(212.0).batch(0..3, &plain(None, Normalise::Imagenet)));
    let place = "x.npy, image 1, row 2, column 3, channel 0: found 212.0; wanted u8 or floats in 0..1";
    assert!(error.contains(place) && error.contains("by 255"), "{error}");
    assert!(fill(1.0005).batch(0..3, &plain(None, Normalise::Imagenet)).is_ok());
    assert!(message(fill(256.0).batch(0..3, &plain(None, Normalise::Caffe))).contains("found 256.0"));
    assert!(fill(212.0).batch(0..3, &plain(None, Normalise::Caffe)).is_ok());
    for bad in [f32::NAN, f32::INFINITY] {
        let images = fill(bad);
        let error = message(images.batch(0..3, &plain(None, Normalise::None)));
        assert!(error.contains("image 1, row 2, column 3") && error.contains("finite"), "{error}");
        assert!(images.channel_statistics(&[1], None, Filter::Bilinear).is_err());
        assert!(images.batch(2..3, &plain(None, Normalise::None)).is_ok());
    }
}

#[test]
fn statistics_normalise_to_mean_zero_and_deviation_one() {
    let path = folder("statistics");
    for i in 0..5 {
        drawing(i, 6 + i, 7).save(path.join(format!("{i}.png"))).unwrap();
    }
    let images = Images::open(&path).unwrap();
    let size = Some(Size { height: 4, width: 4 });
    let (mean, std) = images.channel_statistics(&[3, 0, 4], size, Filter::Bilinear).unwrap();
    let normalise = Normalise::Channels { mean, std };
    let (mut sum, mut squares) = ([0.0f64; 3], [0.0f64; 3]);
    for row in [0, 3, 4] {
        for pixel in images.batch(row..row + 1, &plain(size, normalise)).unwrap().pixels {
            for c in 0..3 {
                sum[c] += f64::from(pixel[c]) / 48.0;
                squares[c] += f64::from(pixel[c]).powi(2) / 48.0;
            }
        }
    }
    for c in 0..3 {
        assert!(sum[c].abs() < 1e-5 && (squares[c] - 1.0).abs() < 1e-5, "{sum:?} {squares:?}");
    }
    assert!(images.channel_statistics(&[0, 4], None, Filter::Bilinear).is_ok());
    assert!(message(images.channel_statistics(&[], None, Filter::Bilinear)).contains("no images"));
    assert!(images.channel_statistics(&[5], None, Filter::Bilinear).is_err());
}

#[test]
fn real_photographs_agree_with_pillow() {
    let data = std::env::var_os("STRIATE_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = data.join("v4/210325/images");
    if !folder.is_dir() {
        eprintln!("skipped: no {} (set STRIATE_DATA)", folder.display());
        return;
    }
    let images = Images::open(&folder).unwrap();
    assert_eq!(images.len(), 640);
    let start = std::time::Instant::now();
    let small = plain(Some(Size { height: 56, width: 56 }), Normalise::Imagenet);
    let batch = images.batch(0..640, &small).unwrap();
    eprintln!("640 images prepared in {:?}", start.elapsed());
    assert_eq!(batch.pixels.len(), 640 * 56 * 56);
    let decoded = Images::open(&data.join("reference/v4_210325_first4_112px_images.npy")).unwrap();
    for (preparation, most, mean) in [
        (plain(None, Normalise::None), 4.0, 0.3),
        (plain(Some(Size { height: 56, width: 56 }), Normalise::None), 3.0, 0.3),
    ] {
        let (a, b) = (images.batch(0..4, &preparation).unwrap(), decoded.batch(0..4, &preparation).unwrap());
        let differences: Vec<f32> =
            a.pixels.iter().flatten().zip(b.pixels.iter().flatten()).map(|(a, b)| (a - b).abs()).collect();
        let largest = differences.iter().copied().fold(0.0, f32::max);
        let average = differences.iter().sum::<f32>() / (differences.len() / 4 * 3) as f32;
        eprintln!("levels of difference to Pillow: at most {largest}, on average {average}");
        assert!(largest <= most && average <= mean);
    }
}
