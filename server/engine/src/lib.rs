//! latentd-engine
