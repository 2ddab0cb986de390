-- Models that must be resident. LoadModel writes a row once the model is on the device, UnloadModel deletes it, and a server
-- that starts loads every row again. `dtype` is what was asked for, null where the server chose. `digest` is that of the
-- weights: a restart that finds other bytes at `path` says so.
create table model (
    id text collate "C" primary key,
    path text not null,
    dtype text,
    digest text not null,
    load_time timestamptz not null default now()
);
