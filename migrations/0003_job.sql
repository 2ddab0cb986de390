-- Long work. A row is written by the RPC that asks for the work and is never deleted. A process that works on the job holds a
-- lease (`lease_owner` until `lease_until`) which it renews; `epoch` grows with every lease, and whoever writes under an older
-- epoch is refused. `attempts` counts the leases, `stalls` those since the job last got further: a job that kills each process
-- that takes it ends as failed. A `request_id` makes the request idempotent: the same id and digest give the same job.
create table job (
    id text collate "C" primary key default gen_random_uuid()::text,
    kind text not null,
    spec jsonb not null,
    result text not null,
    state text not null default 'queued'
        constraint job_state check (state in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    progress jsonb not null default '{}',
    error jsonb,
    attempts integer not null default 0,
    stalls integer not null default 0,
    cancel_requested boolean not null default false,
    request_id text collate "C",
    request_digest text,
    create_time timestamptz not null default now(),
    start_time timestamptz,
    end_time timestamptz,
    lease_owner uuid,
    lease_until timestamptz,
    epoch integer not null default 0,
    constraint job_request unique (kind, request_id),
    constraint job_request_digest check ((request_id is null) = (request_digest is null)),
    constraint job_lease check ((state = 'running') = (lease_owner is not null and lease_until is not null)),
    constraint job_end check ((state in ('succeeded', 'failed', 'cancelled')) = (end_time is not null))
);

-- ListJobs: newest first.
create index job_newest on job (create_time desc, id desc);

-- The next job to work on, and the jobs whose lease ran out.
create index job_open on job (create_time, id) where state in ('queued', 'running');
