-- The pieces of a job, numbered by `ord`. State 0 waits, 1 is leased to a worker, 2 is done, 3 is dead: given up after too many
-- attempts, or because the job ended without it. A worker's lease runs out at `lease_until`; `epoch` grows with every lease, and
-- "done" is only written under the epoch that the worker was given, in one transaction with the result. `run_after` holds back
-- an item that is to be tried again later.
create table work_item (
    job_id text collate "C" not null references job (id) on delete cascade,
    ord integer not null,
    state smallint not null default 0 constraint work_item_state check (state between 0 and 3),
    attempt smallint not null default 0,
    run_after timestamptz not null default now(),
    lease_owner uuid,
    lease_until timestamptz,
    epoch integer not null default 0,
    error text,
    primary key (job_id, ord),
    constraint work_item_lease check ((state = 1) = (lease_owner is not null and lease_until is not null))
);

-- What waits, in the order in which it is claimed.
create index work_item_waiting on work_item (job_id, ord) where state = 0;

-- Leases, to renew those of one owner and to find those that ran out.
create index work_item_leased on work_item (lease_owner, lease_until) where state = 1;
