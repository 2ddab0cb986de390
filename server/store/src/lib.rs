//! latentd-store
