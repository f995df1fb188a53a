//! The largest pictures that are read.

/// The longest side that is read: as far as JPEG goes.
pub(crate) const MAX_SIDE: u32 = 65_535;
/// Bytes that the pixels of a picture may take, and those of a file.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// Refuses sizes that are not read; `bytes` is how many a pixel takes.
pub(crate) fn check_size(width: u32, height: u32, bytes: u64) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("it has {width}x{height} pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE {
        return Err(format!(
            "it has {width}x{height} pixels, more than {MAX_SIDE} on a side"
        ));
    }
    if u64::from(width) * u64::from(height) * bytes > MAX_BYTES {
        return Err(format!(
            "it has {width}x{height} pixels, more than fit into {MAX_BYTES} bytes"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_limited() {
        assert!(check_size(MAX_SIDE, 1, 3).is_ok());
        assert!(check_size(MAX_SIDE + 1, 1, 3).is_err());
        assert!(check_size(0, 5, 3).is_err());
        assert!(check_size(32_768, 32_768, 1).is_ok());
        assert!(check_size(32_768, 32_768, 3).is_err());
    }
}
