-- Shard files that are complete on disk: for each SAE of a cache one file per piece of the corpus. A row is written in the
-- transaction that marks the work item `ord` as done, after the file was synced, so a row means a whole file with this digest.
create table cache_shard (
    cache_id text collate "C" not null references cache (id) on delete cascade,
    sae text collate "C" not null,
    ord integer not null,
    digest text not null,
    entries bigint not null,
    size_bytes bigint not null,
    primary key (cache_id, sae, ord)
);
