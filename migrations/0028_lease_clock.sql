-- The clock of leases. It goes on by the time that passes while a server is alive and reaches the database, as that server's
-- monotonic clock measures it, and by nothing else: the clock of the machine may be set to any date without ending or
-- lengthening a lease. It has one row, which every server moves on once a second. A lease lasts until `lease_now()` reaches its
-- `lease_until`. What the clock shows looks like a date and is none: it stands still while no server is alive.
create table lease_clock (
    only_row boolean primary key default true constraint lease_clock_only_row check (only_row),
    shows timestamptz not null default now()
) with (fillfactor = 50);

insert into lease_clock default values;

create function lease_now() returns timestamptz language sql stable as 'select shows from lease_clock';

-- An item that was never tried is not held back by any clock.
alter table work_item alter column run_after set default '-infinity';
update work_item set run_after = '-infinity' where state in (0, 4);

-- The order of jobs is that in which they were asked for, whatever the clock said.
alter table job add column number bigint;
update job j set number = o.number from (select id, row_number() over (order by create_time, id) as number from job) o
    where o.id = j.id;
create sequence job_number owned by job.number;
select setval('job_number', (select coalesce(max(number), 0) + 1 from job), false);
alter table job alter column number set default nextval('job_number'), alter column number set not null;

create unique index job_by_number on job (number);
create index job_open_by_number on job (number) where state in ('queued', 'running');
drop index job_newest;
drop index job_open;

comment on table lease_clock is 'The clock of leases: time that passed while a server was alive. One row.';
comment on column lease_clock.only_row is 'Always true: there is one row.';
comment on column lease_clock.shows is 'What the clock shows. Servers move it on once a second; it is no date.';
comment on column job.number is 'Rises with every job: the order in which they were asked for.';
comment on column job.lease_until is 'The lease runs out when lease_now() reaches this.';
comment on column work_item.lease_until is 'The lease runs out when lease_now() reaches this.';
comment on column work_item.run_after is 'It is not claimed before lease_now() reaches this.';
comment on column process.lease_until is 'Alive until lease_now() reaches this, unless it renews.';
comment on column llm_exchange.lease_until is 'Another process may take it over when lease_now() reaches this.';
