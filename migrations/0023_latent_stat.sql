-- Statistics of every latent of a cache, those that never fire included, so that SQL can join them with explanations and scores.
-- Written by the process that builds the cache, just before the cache gets ready, and deleted with it. Caches that were built before
-- this table was there have no rows in it; ListLatentStats answers for them.
create table latent_stat (
    cache_id text collate "C" not null references cache (id) on delete cascade,
    sae text collate "C" not null,
    latent integer not null,
    firing_tokens bigint not null,
    density double precision not null,
    max_activation real not null,
    mean_activation double precision not null,
    mean_square double precision not null,
    primary key (cache_id, sae, latent)
);
