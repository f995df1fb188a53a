use super::BinaryOps;
impl BinaryOps for burn::backend::Flex {}
