-- How the work items of an auto-interpretation job are numbered: `latents` times `stages` of them, the stages of a latent one
-- after the other. Written with the items, by the process that has the job's lease; `complete` once all of them are there.
-- `independent` lists the stages that need no explanation and so also run when stage 0 failed.
create table interp_job (
    job_id text collate "C" primary key references job (id) on delete cascade,
    latents integer not null,
    stages smallint not null,
    independent smallint[] not null,
    complete boolean not null default false
);
