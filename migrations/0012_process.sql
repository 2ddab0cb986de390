-- Server processes that are alive: each renews its row every few seconds, and deletes it when it stops in good order. The limits
-- of a provider are shared out among them, and what a dead one had under way may be begun again by another.
create table process (
    owner uuid primary key,
    start_time timestamptz not null default now(),
    lease_until timestamptz not null
) with (fillfactor = 50);
