//! latentd-cache
