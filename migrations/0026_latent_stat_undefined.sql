-- What is not defined is null, and not 0: a latent that never fires has neither a highest activation nor a mean.
alter table latent_stat
    alter column max_activation drop not null,
    alter column mean_activation drop not null,
    alter column mean_square drop not null;

update latent_stat set max_activation = null, mean_activation = null, mean_square = null where firing_tokens = 0;

comment on column latent_stat.max_activation is 'Highest activation; null if it never fires.';
comment on column latent_stat.mean_activation is 'Mean activation over the tokens on which it fires; null if it never does.';
comment on column latent_stat.mean_square is 'Mean of the squared activation over these tokens; null if there are none.';
