-- What happened to a job, for clients that watch it: what can change of the job, as it was after each change, written in the
-- transaction of the change. That transaction holds the job's row lock before it draws an `id`, so the ids of one job grow in
-- the order in which they become visible. Of events that only tell of progress, the last few hundred of a job are kept.
create table job_event (
    id bigserial primary key,
    job_id text collate "C" not null references job (id) on delete cascade,
    time timestamptz not null default now(),
    progress_only boolean not null,
    state text not null,
    progress jsonb not null,
    error jsonb,
    attempts integer not null,
    cancel_requested boolean not null,
    start_time timestamptz,
    end_time timestamptz
);

-- The events of a job, after a given one.
create index job_event_of_job on job_event (job_id, id);
