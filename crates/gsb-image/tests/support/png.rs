//! PNG files.

/// A PNG file of one RGB colour.
pub fn png(width: u32, height: u32, color: [u8; 3]) -> Vec<u8> {
    encode(&image::RgbImage::from_pixel(width, height, image::Rgb(color)).into())
}

pub fn encode(image: &image::DynamicImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
