//! Positions → a PNG.

use super::colouring::Colouring;
use crate::experiments::ExperimentError;
use embedded_graphics::{
    Drawable, Pixel,
    geometry::{OriginDimensions, Point, Size},
    mono_font::{MonoTextStyle, iso_8859_1::FONT_9X18},
    pixelcolor::{Rgb888, RgbColor},
    prelude::DrawTarget,
    text::Text,
};
use std::convert::Infallible;

/// Side of the square that holds the points, and the room around it.
const SIDE: f32 = 1_200.0;
const MARGIN: f32 = 30.0;
const TOP: f32 = 50.0;
const LEGEND: f32 = 380.0;
/// Characters of a legend entry that fit.
const NAME: usize = 28;
const INK: Rgb888 = Rgb888::new(40, 40, 44);

/// An RGB image, white at first.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// The map with its title, and a legend when there is more than one group.
pub(super) fn picture(
    title: &str,
    colouring: &Colouring,
    positions: &[[f32; 2]],
) -> Result<Vec<u8>, ExperimentError> {
    let legend = colouring.attribute.is_some();
    let width = SIDE + 2.0 * MARGIN + if legend { LEGEND } else { 0.0 };
    let mut canvas = Canvas::new(width as usize, (SIDE + TOP + MARGIN) as usize);
    canvas.text(MARGIN as i32, 32, title);
    let radius = (260.0 / (positions.len() as f32).sqrt()).clamp(1.8, 7.0);
    // The named groups last, above the grey ones.
    let mut order: Vec<usize> = (0..positions.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(colouring.of[at]));
    for at in order {
        let [x, y] = positions[at];
        let colour = colouring.groups[colouring.of[at]].colour;
        canvas.disc([MARGIN + x * SIDE, TOP + y * SIDE], radius, colour, 0.75);
    }
    if let Some(attribute) = &colouring.attribute {
        let left = SIDE + 2.0 * MARGIN;
        canvas.text(left as i32, 80, attribute);
        for (at, group) in colouring.groups.iter().filter(|group| group.count > 0).enumerate() {
            let y = 112.0 + at as f32 * 28.0;
            canvas.disc([left + 8.0, y - 5.0], 7.0, group.colour, 1.0);
            let name: String = group.name.chars().take(NAME).collect();
            canvas.text(left as i32 + 26, y as i32, &format!("{name} {}", group.count));
        }
    }
    canvas.encoded()
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![255; 3 * width * height] }
    }

    /// A disc with a soft edge; `opacity` from 0 to 1.
    fn disc(&mut self, [cx, cy]: [f32; 2], radius: f32, colour: [u8; 3], opacity: f32) {
        let span = |centre: f32, end: usize| {
            let (from, to) = (centre - radius - 1.0, centre + radius + 2.0);
            (from.max(0.0) as usize).min(end)..(to.max(0.0) as usize).min(end)
        };
        for y in span(cy, self.height) {
            for x in span(cx, self.width) {
                let distance = (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy);
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0) * opacity;
                let at = 3 * (y * self.width + x);
                for (pixel, ink) in self.pixels[at..at + 3].iter_mut().zip(colour) {
                    *pixel =
                        (f32::from(*pixel) * (1.0 - cover) + f32::from(ink) * cover).round() as u8;
                }
            }
        }
    }

    /// A line of text from a baseline on.
    fn text(&mut self, x: i32, y: i32, text: &str) {
        // Characters that the font lacks are drawn as question marks.
        match Text::new(text, Point::new(x, y), MonoTextStyle::new(&FONT_9X18, INK)).draw(self) {
            Ok(_) => {}
            Err(never) => match never {},
        }
    }

    fn encoded(self) -> Result<Vec<u8>, ExperimentError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written =
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.pixels));
        written.map_err(|error| {
            ExperimentError::Input(format!("the picture cannot be encoded: {error}"))
        })?;
        Ok(bytes)
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(Point { x, y }, colour) in pixels {
            if (0..self.width as i32).contains(&x) && (0..self.height as i32).contains(&y) {
                let at = 3 * (y as usize * self.width + x as usize);
                self.pixels[at..at + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_they_should_in_the_colour_of_their_group() {
        let mut colouring = Colouring::plain(2);
        let bytes = picture("two items", &colouring, &[[0.0, 0.0], [1.0, 0.5]]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let at = |x: f32, y: f32| {
            let at = 3 * (y as usize * info.width as usize + x as usize);
            [pixels[at], pixels[at + 1], pixels[at + 2]]
        };
        assert_eq!(at(MARGIN + SIDE / 2.0, TOP + SIDE / 2.0), [255; 3]);
        for (x, y) in [(MARGIN, TOP), (MARGIN + SIDE, TOP + SIDE / 2.0)] {
            let [r, g, b] = at(x, y);
            assert!(r < g && g < b && b < 255, "{r} {g} {b}");
        }
        assert!(pixels[..3 * 40 * info.width as usize].contains(&INK.r()), "the title");
        colouring.attribute = Some("größe".to_owned());
        let wide = picture("two items", &colouring, &[[0.0, 0.0], [1.0, 0.5]]).unwrap();
        assert!(
            png::Decoder::new(std::io::Cursor::new(&wide)).read_info().unwrap().info().width
                > info.width
        );
    }
}
