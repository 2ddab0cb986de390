//! The number types of cache files, and what safetensors calls them.

use half::f16;

/// A number that is stored in a column of a cache file, little-endian.
pub(crate) trait Scalar: bytemuck::Pod {
    /// The name of the type in a safetensors header.
    const NAME: &'static str;
}

macro_rules! scalars {
    ($($type:ty = $name:literal,)*) => {
        $(impl Scalar for $type { const NAME: &'static str = $name; })*
    };
}

scalars! {
    u64 = "U64",
    u32 = "U32",
    u16 = "U16",
    f64 = "F64",
    f32 = "F32",
    f16 = "F16",
}
