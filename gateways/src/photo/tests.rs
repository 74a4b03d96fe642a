//! Pictures that are made anew, and those that are none.

use std::time::{Duration, Instant};

use image::codecs::png::PngEncoder;
use image::{ImageEncoder, Rgb, Rgba, RgbaImage};
use proptest::prelude::*;

use super::*;

fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = image.dimensions();
    JpegEncoder::new_with_quality(&mut bytes, 95)
        .encode(image.as_raw(), width, height, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

fn png(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(pixels, width, height, colour)
        .unwrap();
    bytes
}

/// Red above, blue below.
fn flag(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |_, y| match y < height / 2 {
        true => Rgb([250, 0, 0]),
        false => Rgb([0, 0, 250]),
    })
}

fn shown(bytes: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(bytes, ImageFormat::Jpeg)
        .unwrap()
        .into_rgb8()
}

fn is_red(pixel: &Rgb<u8>) -> bool {
    pixel.0[0] > 180 && pixel.0[2] < 80
}

/// A JPEG that says which way up it is (Exif, TIFF tag 0x0112).
fn turned(bytes: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    exif.extend(b"taken at home");
    let mut made = bytes[..2].to_vec();
    made.extend([0xff, 0xe1]);
    made.extend(u16::try_from(exif.len() + 2).unwrap().to_be_bytes());
    made.extend(exif);
    made.extend(&bytes[2..]);
    made
}

#[test]
fn picture_becomes_the_square_in_its_middle_and_says_so() {
    let source_bytes = jpeg(&flag(300, 200));
    let (photo, bytes) = rewritten(&source_bytes).unwrap();
    assert_eq!((photo.width, photo.height), (96, 96));
    assert_eq!(photo.media_type.as_ref(), "image/jpeg");
    assert_eq!(photo.bytes as usize, bytes.len());
    assert_eq!(*photo.hash, hexadecimal(&Sha1::digest(&bytes)));
    assert_eq!(photo.source, source(&source_bytes));
    let image = shown(&bytes);
    assert!(is_red(image.get_pixel(48, 10)) && !is_red(image.get_pixel(48, 80)));
}

#[test]
fn small_picture_is_not_blown_up() {
    let (photo, _) = rewritten(&jpeg(&flag(40, 64))).unwrap();
    assert_eq!((photo.width, photo.height), (40, 40));
}

#[test]
fn picture_taken_lying_down_stands_up_and_tells_nothing_else() {
    let lying = turned(&jpeg(&flag(200, 200)), 6);
    let (_, bytes) = rewritten(&lying).unwrap();
    let image = shown(&bytes);
    // Turned by a quarter to the right: what was above is at the right.
    assert!(is_red(image.get_pixel(85, 48)) && !is_red(image.get_pixel(10, 48)));
    for left_over in [&b"Exif"[..], b"taken at home"] {
        assert!(!bytes.windows(left_over.len()).any(|it| it == left_over));
    }
}

#[test]
fn what_is_seen_through_is_white() {
    let clear = RgbaImage::from_pixel(10, 10, Rgba([0, 0, 0, 0]));
    let source = png(clear.as_raw(), 10, 10, ExtendedColorType::Rgba8);
    let (_, bytes) = rewritten(&source).unwrap();
    assert!(shown(&bytes).pixels().all(|it| it.0 == [255; 3]));
}

#[test]
fn png_of_every_colour_and_depth_is_read() {
    for (colour, bytes_each) in [
        (ExtendedColorType::L8, 1),
        (ExtendedColorType::La8, 2),
        (ExtendedColorType::Rgb8, 3),
        (ExtendedColorType::L16, 2),
        (ExtendedColorType::Rgba16, 8),
    ] {
        let source = png(&vec![7; 120 * 100 * bytes_each], 120, 100, colour);
        assert!(rewritten(&source).is_ok(), "{colour:?}");
    }
}

#[test]
fn noise_is_made_small_all_the_same() {
    let mut state = 1u32;
    let noise = RgbImage::from_fn(96, 96, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
    });
    let (photo, _) = rewritten(&jpeg(&noise)).unwrap();
    assert!(photo.bytes < 2 * BYTES_WISHED as u32, "{}", photo.bytes);
}

#[test]
fn h08_too_many_pixels_are_refused_before_they_are_decoded() {
    // A header is enough: there is no picture behind it.
    let mut bomb = png(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
    for (width, height) in [(50_000u32, 50_000u32), (6001, 1), (5000, 5000)] {
        bomb[16..20].copy_from_slice(&width.to_be_bytes());
        bomb[20..24].copy_from_slice(&height.to_be_bytes());
        let checksum = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
        let started = Instant::now();
        assert_eq!(rewritten(&bomb), Err(BadPhoto::TooManyPixels), "{width}");
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    let mut bomb = jpeg(&flag(8, 8));
    let frame = bomb.windows(2).position(|it| it == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(rewritten(&bomb), Err(BadPhoto::TooManyPixels));
}

/// The checksum of a chunk (PNG, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    assert_eq!(rewritten(b""), Err(BadPhoto::UnknownFormat));
    assert_eq!(rewritten(b"<svg/>"), Err(BadPhoto::UnknownFormat));
    assert_eq!(
        rewritten(b"GIF89a\x01\0\x01\0"),
        Err(BadPhoto::UnknownFormat)
    );
    assert_eq!(rewritten(b"\xff\xd8\xff\xe0"), Err(BadPhoto::Broken));
    let large = vec![0xff; SOURCE_BYTES_MAX + 1];
    assert_eq!(rewritten(&large), Err(BadPhoto::TooLarge));
}

#[tokio::test]
async fn pictures_that_come_at_once_are_all_made() {
    let made = (0..4).map(|_| rewrite(jpeg(&flag(100, 100))));
    for made in futures_util::future::join_all(made).await {
        assert_eq!(made.unwrap().0.width, 96);
    }
    assert_eq!(rewrite(vec![1]).await, Err(BadPhoto::UnknownFormat));
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop_oneof![
        Just(jpeg(&flag(64, 48))),
        Just(turned(&jpeg(&flag(64, 48)), 3)),
        Just(png(flag(64, 48).as_raw(), 64, 48, ExtendedColorType::Rgb8)),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12);
    (whole, changes, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(mut bytes, changes, end, is_cut)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if is_cut {
                bytes.truncate(end.index(bytes.len()));
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn h08_broken_pictures_become_small_ones_or_errors(bytes in mutated()) {
        let started = Instant::now();
        if let Ok((photo, made)) = rewritten(&bytes) {
            prop_assert!(u32::from(photo.width) <= SIDE && u32::from(photo.height) <= SIDE);
            prop_assert!(made.len() <= 4 * BYTES_WISHED);
        }
        // A second is far more than any of them takes, and less than one that hangs.
        prop_assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn h08_random_bytes_behind_any_beginning_become_errors_or_pictures(
        start in prop::sample::select(vec![
            &b""[..], b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\x89PNG\r\n\x1a\n",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let _ = rewritten(&[start, &rest].concat());
    }
}
