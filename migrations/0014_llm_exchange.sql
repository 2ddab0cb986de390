-- Calls of language models, under the hash of what was asked of whom: an answer is paid for once and never deleted. State 0 is
-- under way at `owner`, 1 answered, 2 failed. A call that is under way may be begun again when its owner is dead (no live row in
-- `process`) or after `lease_until`, the longest that a call can take; `sends` counts how often it was begun. `job_id` is the
-- job that asked first. `request` and `reply` are `json` and not `jsonb`: they are kept as they were, NUL characters included,
-- and never searched. The spare room in a page lets the answer be written beside its question.
create table llm_exchange (
    hash text collate "C" primary key,
    provider text collate "C" not null,
    model text not null,
    job_id text collate "C" not null,
    request json not null,
    reply json,
    prompt_tokens bigint not null default 0,
    completion_tokens bigint not null default 0,
    micros bigint not null default 0,
    state smallint not null default 0 constraint llm_exchange_state check (state between 0 and 2),
    sends integer not null default 1,
    owner uuid not null,
    lease_until timestamptz not null,
    error text,
    create_time timestamptz not null default now(),
    answer_time timestamptz,
    constraint llm_exchange_reply check ((state = 1) = (reply is not null and answer_time is not null))
) with (fillfactor = 70);
