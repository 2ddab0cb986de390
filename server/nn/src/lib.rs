//! latentd-nn
