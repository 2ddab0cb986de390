-- Latents that a job showed with fewer examples than its plan asks for, because the cache has no more: the fewest that the
-- explainer was shown, and the fewest on which the latent fires that a scorer was shown. Written before the work items of the latent
-- end, and deleted with the job.
create table job_reduced (
    job_id text collate "C" not null references job (id) on delete cascade,
    latent integer not null,
    n_train integer not null,
    n_test integer not null,
    primary key (job_id, latent)
);
