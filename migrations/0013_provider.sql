-- Language models that jobs may ask. `key_source` says where a server finds the key; the key itself is never here. Written by
-- CreateProvider, which replaces, and deleted by DeleteProvider. `capabilities` is what was found out at `probe_time`. `version`
-- grows with every change, so that a server knows when what it holds is old.
create table provider (
    id text collate "C" primary key,
    kind text not null,
    base_url text not null,
    model text not null,
    key_source text not null,
    limits jsonb not null,
    prices jsonb not null,
    capabilities jsonb not null default '{}',
    create_time timestamptz not null default now(),
    probe_time timestamptz,
    version bigint not null default 1
);
