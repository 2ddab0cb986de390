-- A cache may be pinned: it is then the one that is taken where a request names one of its SAEs and no cache. Written by PinCache, which
-- unpins the others that hold one of its SAEs.
alter table cache add column pinned boolean not null default false;
