//! SAEs: their maths, their files, their test at load.
