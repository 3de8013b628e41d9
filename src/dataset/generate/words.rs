//! Names and descriptions of products, put together from small word lists.

use super::{
    catalogue::Product,
    random::{Purpose, stream},
    vocabulary::{PRODUCT_TYPES, Role},
};
use rand::{Rng, seq::IndexedRandom};

const NAMES: [&str; 72] = [
    "Alva", "Amalfi", "Anton", "Arlo", "Astrid", "Aspen", "Basel", "Bodil", "Bristol", "Calla",
    "Carmo", "Cedar", "Clio", "Dalia", "Dover", "Ebba", "Edda", "Elba", "Elio", "Esme", "Fjord",
    "Flora", "Fred", "Gala", "Garda", "Greta", "Hedda", "Hugo", "Ida", "Ilse", "Indigo", "Iris",
    "Ivo", "Jasper", "Juno", "Kaia", "Kent", "Lagos", "Leda", "Lido", "Linden", "Lova", "Lugano",
    "Magda", "Malmo", "Marlow", "Mika", "Milo", "Nadja", "Nora", "Olga", "Oslo", "Otto", "Palma",
    "Pia", "Porto", "Quentin", "Rhea", "Riga", "Rosa", "Saga", "Selma", "Siena", "Sol", "Tarn",
    "Thea", "Tove", "Turin", "Ulla", "Vera", "Wilma", "Ylva",
];
const CUTS: [&str; 30] = [
    "slim",
    "relaxed",
    "cropped",
    "long",
    "oversized",
    "fitted",
    "flared",
    "pleated",
    "ribbed",
    "wrap",
    "tie",
    "high",
    "low",
    "soft",
    "fine",
    "heavy",
    "light",
    "padded",
    "quilted",
    "brushed",
    "washed",
    "layered",
    "boxy",
    "straight",
    "wide",
    "gathered",
    "frill",
    "classic",
    "basic",
    "twin",
];
const FABRICS: [&str; 16] = [
    "cotton jersey",
    "a linen blend",
    "soft fleece",
    "rib knit",
    "woven cotton",
    "crêpe",
    "satin",
    "stretch twill",
    "washed denim",
    "a wool blend",
    "airy viscose",
    "recycled polyester",
    "corduroy",
    "fast-drying fabric",
    "velour",
    "mesh",
];
const WORN: [&str; 16] = [
    "a round neckline",
    "a V-neck",
    "long sleeves",
    "short sleeves",
    "a high waist",
    "an elastic waistband",
    "side pockets",
    "a concealed zip",
    "buttons down the front",
    "a drawstring hem",
    "a straight hem",
    "dropped shoulders",
    "narrow straps",
    "a seam at the waist",
    "a lined inside",
    "slits in the sides",
];
const CARRIED: [&str; 10] = [
    "an adjustable strap",
    "a metal clasp",
    "a matte surface",
    "stitched edges",
    "a lined inside",
    "a small logo",
    "a soft finish",
    "a patterned inside",
    "rounded edges",
    "a contrasting trim",
];

/// Name of a product, such as `Tove ribbed cardigan`.
pub(super) fn name(seed: u64, row: u32, product: &Product) -> String {
    let mut rng = words(seed, row);
    let noun = PRODUCT_TYPES[product.product_type].2.to_lowercase();
    let noun = noun.split('/').next().unwrap_or(&noun);
    let name = NAMES.choose(&mut rng).copied().unwrap_or("Alva");
    if rng.random::<f32>() < 0.75 {
        format!("{name} {} {noun}", CUTS.choose(&mut rng).copied().unwrap_or("classic"))
    } else {
        format!("{name} {noun}")
    }
}

/// Description of a product; empty for most, as the shop has filled them for about a sixth.
pub(super) fn description(seed: u64, row: u32, product: &Product, role: Role) -> String {
    let mut rng = words(seed, row);
    rng.set_word_pos(64);
    if rng.random::<f32>() >= 0.16 {
        return String::new();
    }
    let noun = PRODUCT_TYPES[product.product_type].2;
    let worn = !matches!(role, Role::Extra | Role::Feet);
    let details: &[&str] = if worn { &WORN } else { &CARRIED };
    let fabric = FABRICS.choose(&mut rng).copied().unwrap_or("cotton jersey");
    let mut chosen = details.choose_multiple(&mut rng, 3).copied();
    let (first, second, third) = (chosen.next(), chosen.next(), chosen.next());
    let sentence = match (first, second, third) {
        (Some(a), Some(b), Some(c)) if rng.random::<f32>() < 0.5 => {
            format!("{noun} in {fabric} with {a}, {b} and {c}.")
        }
        (Some(a), Some(b), _) => format!("{noun} in {fabric} with {a} and {b}."),
        _ => format!("{noun} in {fabric}."),
    };
    if rng.random::<f32>() < 0.3 { format!("{sentence} Lined.") } else { sentence }
}

fn words(seed: u64, row: u32) -> rand_chacha::ChaCha8Rng {
    stream(seed, Purpose::Product, 1 << 40 | u64::from(row))
}
