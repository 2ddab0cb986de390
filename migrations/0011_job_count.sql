-- What a job has done and spent, a row for each process that works on it, so that no two wait for one another; progress is a sum
-- over these few rows. Added to in the transaction of what is counted. `done` counts every item that is over, `failed` and
-- `skipped` those of them that failed or had nothing to do; the columns in `_latents` count stage 0 alone. The spare room in
-- a page lets a row change in place.
create table job_count (
    job_id text collate "C" not null references job (id) on delete cascade,
    owner uuid not null,
    done bigint not null default 0,
    failed bigint not null default 0,
    skipped bigint not null default 0,
    dead_latents bigint not null default 0,
    skipped_latents bigint not null default 0,
    failed_latents bigint not null default 0,
    calls bigint not null default 0,
    failed_calls bigint not null default 0,
    reused bigint not null default 0,
    prompt_tokens bigint not null default 0,
    completion_tokens bigint not null default 0,
    micros bigint not null default 0,
    primary key (job_id, owner)
) with (fillfactor = 50);
