-- How often a server died while it worked on an item of an auto-interpretation job. An item that was there at several deaths may be what
-- kills the servers: it is tried again among fewer and fewer others, at last alone, and given up only for deaths while it was alone.
alter table work_item add column lost smallint not null default 0;
comment on column work_item.lost is 'Times that a server died while it worked on the item; 0 again once an attempt ended.';

-- Those that are tried among few others: none, as a rule.
create index work_item_suspect on work_item (lost) where state = 0 and lost >= 2;
