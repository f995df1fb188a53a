//! What decoders say of a file.

/// What a decoder said: in its own words, unless it only missed bytes.
pub(crate) fn told(error: impl std::error::Error + 'static) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof)
        {
            return "the file is cut off".into();
        }
        cause = inner.source();
    }
    error.to_string()
}
