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
    assert_eq!(described, "3 images, 3x4 (height x width), uint8, channels: 3");
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
    assert_eq!(
        images.describe().unwrap().to_string(),
        "70 images, 4x5 (height x width), float64, channels: 3"
    );
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
    let place =
        "x.npy, image 1, row 2, column 3, channel 0: found 212.0; wanted whole numbers, or floats in 0..1";
    assert!(error.contains(place) && error.contains("255 of bytes"), "{error}");
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

/// The pixels of images under a preparation that takes white to 1.
fn unit(path: &Path) -> Vec<f32> {
    let images = Images::open(path).unwrap();
    let to_unit = Normalise::Channels { mean: [0.0; 3], std: [1.0; 3] };
    let batch = images.batch(0..images.len(), &plain(None, to_unit)).unwrap();
    batch.pixels.iter().map(|pixel| pixel[0]).collect()
}

fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn every_element_has_one_black_and_one_white() {
    let path = folder("elements");
    // Four images of 2 x 5; their levels of 255.
    let level = |i: &[usize]| (i[0] * 70 + i[1] * 20 + i[2] * 5 + if i == [3, 1, 4] { 5 } else { 0 }) as u8;
    let shape = [4, 2, 5];
    let want: Vec<f32> = ndarray::indices([4, 2, 5])
        .into_iter()
        .map(|(a, b, c)| f32::from(level(&[a, b, c])) / 255.0)
        .collect();
    assert_eq!(want.iter().copied().fold(0.0, f32::max), 1.0);
    let file = |name: &str| path.join(format!("{name}.npy"));
    save_array(&file("u8"), &shape, level);
    save_array(&file("u16"), &shape, |i| u16::from(level(i)));
    save_array(&file("i16"), &shape, |i| i16::from(level(i)));
    save_array(&file("i64"), &shape, |i| i64::from(level(i)));
    save_array(&file("u16-wide"), &shape, |i| u16::from(level(i)) * 257);
    save_array(&file("u32-wide"), &shape, |i| u32::from(level(i)) * 257);
    save_array(&file("f32"), &shape, |i| f32::from(level(i)));
    save_array(&file("f64"), &shape, |i| f64::from(level(i)) / 255.0);
    save_array(&file("last"), &[4, 2, 5, 1], |i| level(&i[..3]));
    for name in ["u8", "u16", "i16", "i64", "u16-wide", "u32-wide", "f32", "f64", "last"] {
        assert!(near(&unit(&file(name)), &want), "{name}");
    }
    save_array(&file("f16"), &shape, |i| half::f16::from_f32(f32::from(level(i)) / 255.0));
    assert!(unit(&file("f16")).iter().zip(&want).all(|(a, b)| (a - b).abs() < 5e-4));
    for (name, black_or_white) in [("bool", true), ("ones", false)] {
        match black_or_white {
            true => save_array(&file(name), &shape, |i| i[2] == 1),
            false => save_array(&file(name), &shape, |i| f32::from(u8::from(i[2] == 1))),
        }
        let want: Vec<f32> = (0..40).map(|at| if at % 5 == 1 { 1.0 } else { 0.0 }).collect();
        assert!(near(&unit(&file(name)), &want), "{name}");
        assert_eq!(Images::open(&file(name)).unwrap().reading().unwrap(), (None, Vec::new()));
    }
    save_array(&file("nearly-black"), &shape, |i| u8::from(i[2] == 1));
    let (bits, notes) = Images::open(&file("nearly-black")).unwrap().reading().unwrap();
    assert!(bits.is_none() && notes[0].contains("nearly black"), "{notes:?}");
    save_array(&file("negative"), &shape, |i| i16::from(level(i)) - 9);
    save_array(&file("large"), &shape, |i| u32::from(level(i)) * 300);
    save_array(&file("i8"), &shape, |_| 3i8);
    for (name, part) in [("negative", "from -9 to 246"), ("large", "to 76500"), ("i8", "cannot hold")] {
        let images = Images::open(&file(name)).unwrap();
        let said = message(images.batch(0..1, &plain(None, Normalise::None)));
        assert!(said.contains(part) && said.contains(name), "{said}");
    }
}

#[test]
fn caffe_and_imagenet_see_the_same_black_and_white() {
    let path = folder("both");
    save_array(&path.join("unit.npy"), &[1, 2, 2], |i| [[0.0f32, 0.25], [0.75, 1.0]][i[1]][i[2]]);
    save_array(&path.join("deep.npy"), &[1, 2, 2], |i| [[0u16, 1023], [3071, 4095]][i[1]][i[2]]);
    for name in ["unit.npy", "deep.npy"] {
        let images = Images::open(&path.join(name)).unwrap();
        let pixels = images.batch(0..1, &plain(None, Normalise::Caffe)).unwrap().pixels;
        let quarter = if name == "unit.npy" { 0.25 } else { 1023.0 / 4095.0 };
        for (pixel, level) in [(0, 0.0), (1, quarter), (3, 1.0)] {
            assert!((pixels[pixel][0] - (level * 255.0 - 104.00699)).abs() < 1e-3, "{name} {pixels:?}");
        }
    }
}

#[test]
fn bits_are_those_of_the_whole_set_and_may_be_given() {
    let path = folder("bits");
    let save = |name: &str, value: u16| {
        let image =
            image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![value, value / 2]).unwrap();
        image.save(path.join(name)).unwrap();
    };
    for (largest, bits) in [(255, 8), (256, 10), (1023, 10), (1024, 12), (4096, 14), (16_384, 16)] {
        save("a.png", 100);
        save("b.tif", largest);
        let images = Images::open(&path).unwrap();
        let (found, notes) = images.reading().unwrap();
        assert_eq!((found, notes.is_empty()), (Some(bits), bits == 16), "{largest}");
        let white = ((1u32 << bits) - 1) as f32;
        let want: Vec<f32> = [100, 50, largest, largest / 2].iter().map(|x| f32::from(*x) / white).collect();
        assert!(near(&unit(&path), &want), "{largest}");
    }
    save("b.tif", 700);
    let of = |bits| Images::open(&path).unwrap().with_bits(bits);
    let first = |images: Images| images.batch(0..1, &plain(None, Normalise::None)).unwrap().pixels[0][0];
    assert!((first(of(None)) - 100.0 * 255.0 / 1023.0).abs() < 1e-4);
    assert!((first(of(Some(12))) - 100.0 * 255.0 / 4095.0).abs() < 1e-4);
    assert!(of(Some(12)).reading().unwrap().1[0].contains("12 bits"));
    let said = message(of(Some(8)).batch(0..1, &plain(None, Normalise::None)));
    assert!(said.contains("a value of 700 among images of 8 bits"), "{said}");
    image::Rgb32FImage::new(2, 1).save(path.join("c.tif")).unwrap();
    assert!(message(of(None).reading()).contains("holds floats and"));
}

#[test]
fn decoding_takes_no_more_than_is_allowed() {
    let path = folder("memory");
    for i in 0..5 {
        drawing(i, 300, 400).save(path.join(format!("{i}.png"))).unwrap();
    }
    save_array(&path.join("stack.npy"), &[5, 300, 400, 3], |i| sample(i[0], i[1], i[2], i[3]));
    let size = Some(Size { height: 9, width: 8 });
    for (source, one) in [(path.clone(), 760_000), (path.join("stack.npy"), 300 * 400 * 3 * 9)] {
        let all = Images::open(&source).unwrap().batch(0..5, &plain(size, Normalise::None)).unwrap();
        for memory in [one, 2 * one + 9] {
            let images = Images::open(&source).unwrap().within(memory);
            assert_eq!(images.batch(0..5, &plain(size, Normalise::None)).unwrap(), all);
        }
        let images = Images::open(&source).unwrap().within(300 * 400 * 3);
        let error = images.batch(0..5, &plain(size, Normalise::None)).unwrap_err();
        assert_eq!(error.kind(), Kind::Memory);
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
