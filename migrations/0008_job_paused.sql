-- A job may be paused: by somebody, or because its budget is spent. It then holds no lease, its waiting items are not claimed,
-- and what is at work is finished. `pause_reason` says why, in the job and in its events.
alter table job
    drop constraint job_state,
    add constraint job_state check (state in ('queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled')),
    add column pause_reason text,
    add constraint job_pause check ((state = 'paused') = (pause_reason is not null));

alter table job_event add column pause_reason text;
