-- Caches: activations of a corpus, stored as files in a folder named by the id. A row is written together with its job, in state
-- `building`. The job's end makes it `ready`, with the totals of its manifest, or `failed`. Deletion is in two steps, so that a
-- crash leaves no files behind: `deleting` hides the cache, then the files go, then the row. There is no reference to `model`:
-- a cache outlives the residency of what it was made with.
create table cache (
    id text collate "C" primary key,
    state text not null default 'building'
        constraint cache_state check (state in ('building', 'ready', 'failed', 'deleting')),
    model_id text collate "C" not null,
    spec jsonb not null,
    job_id text collate "C" not null references job (id),
    model_digest text not null default '',
    manifest_digest text not null default '',
    tokens bigint not null default 0,
    row_count bigint not null default 0,
    documents bigint not null default 0,
    size_bytes bigint not null default 0,
    saes jsonb not null default '[]',
    create_time timestamptz not null default now()
);

-- The cache that a job builds.
create index cache_of_job on cache (job_id);
