-- The files of a build lie in a folder of its attempt, so that a builder that was taken for dead and comes back can write into its
-- own folder only: `place` is the one that counts, below the folder of the cache's id; empty for caches from before, whose files lie
-- in the folder of the id itself. `data_folder` is the id of the data folder that has the files of a cache, and that a build belongs
-- to: other servers on the database may have other folders. Unknown for caches and builds from before.
alter table cache
    add column place text not null default '',
    add column data_folder text;

alter table job add column data_folder text;

comment on column cache.place is 'Folder of its files, below the folder named by its id; empty for the latter itself.';
comment on column cache.data_folder is 'Id of the data folder that has its files; null if it was built before this was known.';
comment on column job.data_folder is 'Id of the data folder that a build belongs to: only servers on that folder work on it.';
