-- Items of jobs that work on latents in stages. State 4 is blocked: the item waits for stage 0 of its latent. State 5 is skipped:
-- there is nothing to do for it. `reason` is the error reason of an item that is dead or skipped, `error` says what exactly.
alter table work_item
    drop constraint work_item_state,
    add constraint work_item_state check (state between 0 and 5),
    add column reason text;
