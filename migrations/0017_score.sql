-- How good an explanation is, as one scorer sees it; `explanation_id` is null for scorers that grade the latent itself. Written
-- with the "done" of its work item, deleted with its explanation. `stage` is the number of the scorer in its job, from 1. The
-- confusion counts examples with a label and a prediction. `firing_tokens` is how often the latent fires in the cache, the
-- weight of frequency-weighted means. `value`, the ends of its confidence interval and `metrics` can be computed again from
-- `score_example`.
create table score (
    id text collate "C" primary key,
    explanation_id text collate "C" references explanation (id) on delete cascade,
    sae text collate "C" not null,
    latent integer not null,
    job_id text collate "C" not null references job (id),
    stage smallint not null,
    scorer text collate "C" not null,
    value double precision,
    n integer not null,
    n_failed integer not null,
    ci_low double precision,
    ci_high double precision,
    metrics jsonb not null,
    true_positives integer not null,
    false_positives integer not null,
    true_negatives integer not null,
    false_negatives integer not null,
    firing_tokens bigint not null,
    provider text collate "C",
    provider_model text not null,
    prompt_version text not null,
    calibration text not null,
    seed bigint not null,
    create_time timestamptz not null default now()
);

-- Scores of an explanation, and what hangs on one that is deleted.
create index score_of_explanation on score (explanation_id, scorer);

-- Scores of a job, for its summary and for exports.
create index score_of_job on score (job_id, stage);
