-- What somebody or something says that a latent means. The id is a UUID made from what the explanation is made of (latent,
-- digest of the SAE, explainer, prompt version, exchange, text, author), so the same work gives the same row, once. Written with
-- the "done" of its work item, or by CreateExplanation; deleted by DeleteExplanation, with its scores. `job_id` is the job that
-- made it first. `seed` is unsigned and stored with the same bits.
create table explanation (
    id text collate "C" primary key,
    sae text collate "C" not null,
    latent integer not null,
    text text not null,
    explainer text collate "C" not null,
    job_id text collate "C" references job (id),
    provider text collate "C",
    provider_model text not null default '',
    prompt_version text not null default '',
    sae_digest text not null default '',
    cache_id text collate "C",
    examples text[] not null default '{}',
    seed bigint not null default 0,
    exchange text collate "C",
    author text not null default '',
    create_time timestamptz not null default now(),
    words tsvector not null generated always as (to_tsvector('english'::regconfig, left(text, 100000))) stored
);

-- ListExplanations: by SAE, latent and time.
create index explanation_of_latent on explanation (sae, latent, create_time, id);

-- SearchExplanations, by words.
create index explanation_words on explanation using gin (words);

-- One at random: ids are spread evenly.
create index explanation_of_sae on explanation (sae, id);
