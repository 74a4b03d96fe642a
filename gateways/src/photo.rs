//! Pictures of people, made anew from what somebody has put into a directory.
//!
//! `jpegPhoto` (RFC 2798 §2.6) is what its owner uploaded, and everybody's client would decode it:
//! so it is decoded here, under limits, and only its pixels go on. What comes out is a small JPEG
//! without metadata (no place where it was taken, no preview of what was cut away).
//!
//! Sizes are those of XEP-0153 §4.1: 96 pixels, below 8 KiB. Clients fetch the pictures of a whole
//! contact list, most of them through an IQ in base64; twice as wide would be four times as much.
//!
//! DEVIATION: XEP-0084 §4.2.1 wants PNG. As PNG, a photograph of 96 by 96 has some 18 KiB, and
//! clients have shown JPEG for as long as there are avatars.

use std::fmt::Write as _;
use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::PngDecoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, Limits, RgbImage,
};
use klatsch_protocol::colleagues::Photo;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// What a directory may have of a picture, bytes.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// Pixels of one side: a picture that is larger is no portrait.
const SIDE_MAX: u32 = 6000;
/// Pixels of the whole, which are what decoding costs: those of an old camera or of a telephone
/// that has been told to send less.
const PIXELS_MAX: u32 = 8 * 1024 * 1024;
/// Bytes that decoding may take: eight for each pixel (RGBA of sixteen bits), and as much besides.
const DECODING_BYTES_MAX: u64 = 16 * PIXELS_MAX as u64;
/// One side of what comes out (XEP-0153 §4.1).
pub const SIDE: u32 = 96;
/// Bytes of what comes out (XEP-0153 §4.1), if any quality makes it so small.
pub const BYTES_WISHED: usize = 8 * 1024;
/// From what looks like the original to what may be seen to be no longer.
const QUALITIES: [u8; 4] = [85, 70, 50, 30];

/// Why a picture is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPhoto {
    /// More bytes than [`SOURCE_BYTES_MAX`].
    #[error("the picture has more than 1 MiB")]
    TooLarge,
    /// More pixels than are decoded.
    #[error("the picture has too many pixels")]
    TooManyPixels,
    /// Neither JPEG nor PNG.
    #[error("the picture is neither JPEG nor PNG")]
    UnknownFormat,
    /// It says what it is and is not.
    #[error("the picture cannot be read")]
    Broken,
}

/// Pictures are made one at a time: each may take a hundred megabytes while it is decoded.
static TURN: Semaphore = Semaphore::const_new(1);

/// Makes a picture anew, in a thread that may wait, one after the other. A decoder that panics
/// says that the picture is broken.
///
/// # Errors
/// As [`rewritten`].
pub async fn rewrite(bytes: Vec<u8>) -> Result<(Photo, Vec<u8>), BadPhoto> {
    // It is never closed.
    let _turn = TURN.acquire().await.map_err(|_| BadPhoto::Broken)?;
    let made = tokio::task::spawn_blocking(move || rewritten(&bytes)).await;
    made.unwrap_or(Err(BadPhoto::Broken))
}

/// Makes a picture anew: the square in its middle, at most [`SIDE`] pixels wide, and what is to be
/// known of it.
///
/// # Errors
/// [`BadPhoto`]; nothing has been decoded of what is too large.
pub fn rewritten(bytes: &[u8]) -> Result<(Photo, Vec<u8>), BadPhoto> {
    if bytes.len() > SOURCE_BYTES_MAX {
        return Err(BadPhoto::TooLarge);
    }
    let (image, orientation) = decode(bytes)?;
    let square = square(&image);
    drop(image);
    let mut square = DynamicImage::ImageRgb8(square);
    square.apply_orientation(orientation);
    let square = square.into_rgb8();
    let made = encode(&square)?;
    let photo = Photo {
        hash: hexadecimal(&Sha1::digest(&made)).into(),
        media_type: "image/jpeg".into(),
        bytes: made.len().try_into().map_err(|_| BadPhoto::Broken)?,
        width: square.width().try_into().map_err(|_| BadPhoto::Broken)?,
        height: square.height().try_into().map_err(|_| BadPhoto::Broken)?,
        source: source(bytes),
    };
    Ok((photo, made))
}

/// By what a picture of the directory is known again ([`Photo::source`]).
pub fn source(bytes: &[u8]) -> Box<str> {
    hexadecimal(&Sha256::digest(bytes)).into()
}

fn decode(bytes: &[u8]) -> Result<(DynamicImage, Orientation), BadPhoto> {
    // What the bytes are, whatever the directory calls them.
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => read(JpegDecoder::new(Cursor::new(bytes)).map_err(why)?),
        Ok(ImageFormat::Png) => {
            read(PngDecoder::with_limits(Cursor::new(bytes), limits()).map_err(why)?)
        }
        _ => Err(BadPhoto::UnknownFormat),
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODING_BYTES_MAX);
    limits
}

/// Only the header has been read when the decoder comes here.
fn read(mut decoder: impl ImageDecoder) -> Result<(DynamicImage, Orientation), BadPhoto> {
    let (width, height) = decoder.dimensions();
    let is_small = width <= SIDE_MAX && height <= SIDE_MAX && width * height <= PIXELS_MAX;
    if !is_small {
        return Err(BadPhoto::TooManyPixels);
    }
    if width == 0 || height == 0 {
        return Err(BadPhoto::Broken);
    }
    decoder.set_limits(limits()).map_err(why)?;
    // One that is not understood turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(why)?;
    Ok((image, orientation))
}

fn why(error: ImageError) -> BadPhoto {
    match error {
        ImageError::Limits(_) => BadPhoto::TooManyPixels,
        _ => BadPhoto::Broken,
    }
}

/// The square in the middle, scaled down. The middle stays the middle however it is turned, so
/// that turning can wait until there is little to turn.
fn square(image: &DynamicImage) -> RgbImage {
    let side = image.width().min(image.height());
    let (left, top) = ((image.width() - side) / 2, (image.height() - side) / 2);
    let cut = image.crop_imm(left, top, side, side);
    let scaled = match side > SIDE {
        true => cut.resize_exact(SIDE, SIDE, FilterType::CatmullRom),
        false => cut,
    };
    on_white(&scaled)
}

/// JPEG knows nothing to see through.
fn on_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let seen = image.to_rgba8();
    RgbImage::from_fn(seen.width(), seen.height(), |x, y| {
        let [red, green, blue, alpha] = seen.get_pixel(x, y).0;
        let over = |colour: u8| {
            let (colour, alpha) = (u16::from(colour), u16::from(alpha));
            let mixed = (colour * alpha + 255 * (255 - alpha)) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        image::Rgb([over(red), over(green), over(blue)])
    })
}

/// As good as fits; what does not fit at all is as small as it gets.
fn encode(image: &RgbImage) -> Result<Vec<u8>, BadPhoto> {
    let mut made = Vec::new();
    for quality in QUALITIES {
        made.clear();
        let (width, height) = image.dimensions();
        JpegEncoder::new_with_quality(&mut made, quality)
            .encode(image.as_raw(), width, height, ExtendedColorType::Rgb8)
            .map_err(|_| BadPhoto::Broken)?;
        if made.len() <= BYTES_WISHED {
            break;
        }
    }
    Ok(made)
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
