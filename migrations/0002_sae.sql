-- SAEs that must be resident, each of one model; unloading the model takes them along. `options` is what LoadSae was told beyond
-- the path (a normalisation factor, a hook point), as JSON, so that a restart loads the SAE in the same way.
create table sae (
    model_id text collate "C" not null references model (id) on delete cascade,
    id text collate "C" not null,
    path text not null,
    options jsonb not null,
    digest text not null,
    load_time timestamptz not null default now(),
    primary key (model_id, id)
);
