//! latentd, the library behind the binary.
