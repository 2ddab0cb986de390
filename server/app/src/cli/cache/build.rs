//! `latentd cache build`: a job, followed until it ends.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use clap::{Args, ValueEnum};
use latentd_cache::Documents;
use latentd_client::{
    ActivationDtype, BuildCacheRequest, Client, Corpus, CorpusFormat, SpecialTokens,
};

use super::{
    super::{
        absolute,
        format::{plural, short},
        output::Output,
        progress,
    },
    describe,
    upload::upload,
};

#[derive(Args, Debug)]
pub(in crate::cli) struct BuildArgs {
    /// Files or folders of text on the server's disk
    #[arg(required_unless_present = "stdin")]
    corpus: Vec<PathBuf>,
    /// Read the files and folders on this machine, and upload their documents to the server
    #[arg(long)]
    upload: bool,
    /// Read documents from standard input, one a line unless `--format` says text or jsonl, and upload them to the server
    #[arg(long, conflicts_with_all = ["corpus", "upload"])]
    stdin: bool,
    /// MODEL/SAE; repeat it for several SAEs of one model, which run in one pass
    #[arg(long, required = true, value_name = "MODEL/SAE")]
    sae: Vec<String>,
    /// Id of the new cache [default: chosen by the server]
    #[arg(long)]
    id: Option<String>,
    /// How the files are read
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Field or column that holds the text, for JSON, Parquet and Arrow [default: text]
    #[arg(long)]
    text_field: Option<String>,
    /// Longest row, in tokens, beginning-of-sequence included [default: as the SAE was trained]
    #[arg(long)]
    context_length: Option<u32>,
    /// Most tokens to encode [default: the whole corpus]
    #[arg(long)]
    max_tokens: Option<u64>,
    /// Seed to shuffle the documents with; 0 keeps their order
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Whether each row begins with the beginning-of-sequence token [default: as the SAE was trained]
    #[arg(long, value_name = "BOOL")]
    bos: Option<bool>,
    /// Encode special tokens like any other
    #[arg(long)]
    keep_special: bool,
    /// Number format of stored activations
    #[arg(long, value_enum, default_value_t)]
    dtype: DtypeArg,
    /// Repeating the command with the same id returns the job that it started first
    #[arg(long)]
    request_id: Option<String>,
    /// Start the job and return at once
    #[arg(long)]
    detach: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FormatArg {
    /// By the extension of each file
    #[default]
    Auto,
    /// Each text file is a document
    Text,
    /// Each line is a document
    Lines,
    /// Each line is a JSON object and a document
    Jsonl,
    /// Each row is a document
    Parquet,
    /// Each row is a document
    Arrow,
}

impl From<FormatArg> for CorpusFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Auto => Self::Auto,
            FormatArg::Text => Self::Text,
            FormatArg::Lines => Self::Lines,
            FormatArg::Jsonl => Self::Jsonl,
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Arrow => Self::Arrow,
        }
    }
}

impl From<FormatArg> for latentd_domain::CorpusFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Auto => Self::Auto,
            FormatArg::Text => Self::Text,
            FormatArg::Lines => Self::Lines,
            FormatArg::Jsonl => Self::Jsonl,
            FormatArg::Parquet => Self::Parquet,
            FormatArg::Arrow => Self::Arrow,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum DtypeArg {
    #[default]
    F16,
    F32,
}

/// Starts the job, and follows it unless it is to be left alone.
pub(super) async fn run(args: BuildArgs, client: &Client, out: &Output) -> anyhow::Result<()> {
    let detach = args.detach;
    let corpus = corpus(&args, client, out).await?;
    let job = client.build_cache(request(args, corpus)).await?;
    if detach {
        out.show(&job, |job| {
            let (id, cache) = (short(&job.name), short(&job.result));
            format!("job {id} builds cache {cache}\nwatch it with `latentd job watch {id}`")
        })?;
        return Ok(());
    }
    let job = progress::follow(client, &job.name, out).await?;
    if !out.json {
        let cache = client.cache(&job.result).await?;
        out.text(&describe(&cache, out, SystemTime::now()))?;
    }
    Ok(())
}

/// The text: on the server's disk, or uploaded now.
async fn corpus(args: &BuildArgs, client: &Client, out: &Output) -> anyhow::Result<Corpus> {
    let paths: anyhow::Result<Vec<String>> =
        args.corpus.iter().map(|path| absolute(path)).collect();
    let paths = paths?;
    if !args.stdin && !args.upload {
        let corpus = Corpus::new(paths).format(args.format.into());
        return Ok(match &args.text_field {
            Some(field) => corpus.text_field(field),
            None => corpus,
        });
    }
    let format = args.format.into();
    let text_field = args.text_field.clone().unwrap_or_else(|| "text".to_owned());
    let stdin = args.stdin;
    let open = move || {
        if stdin {
            let name = Path::new("standard input");
            return Documents::of_reader(Box::new(std::io::stdin()), name, format, &text_field);
        }
        let corpus = latentd_domain::Corpus {
            paths,
            format,
            text_field,
            uploaded: None,
        };
        Documents::open(&corpus, 0)
    };
    let uploaded = upload(open, client, out).await?;
    if !out.json {
        out.remark(format!(
            "uploaded {} as {}",
            plural(uploaded.documents.unwrap_or_default(), "document"),
            uploaded.name
        ));
    }
    Ok(Corpus::uploaded(uploaded.name))
}

fn request(args: BuildArgs, corpus: Corpus) -> BuildCacheRequest {
    let mut saes = args.sae.into_iter();
    let mut request = BuildCacheRequest::new(saes.next().unwrap_or_default(), corpus)
        .seed(args.seed)
        .context_length(args.context_length.unwrap_or_default())
        .max_tokens(args.max_tokens.unwrap_or_default())
        .cache_id(args.id.unwrap_or_default())
        .request_id(args.request_id.unwrap_or_default())
        .activation_dtype(match args.dtype {
            DtypeArg::F16 => ActivationDtype::F16,
            DtypeArg::F32 => ActivationDtype::F32,
        });
    for sae in saes {
        request = request.and_sae(sae);
    }
    if let Some(prepend) = args.bos {
        request = request.prepend_bos(prepend);
    }
    if args.keep_special {
        request = request.special_tokens(SpecialTokens::Keep);
    }
    request
}
