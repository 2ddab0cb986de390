-- Which explanations of a latent a job works with: those that its stage 0 made, or found. Written with the "done" of stage 0,
-- read by the scorers of the latent.
create table job_explanation (
    job_id text collate "C" not null references job (id) on delete cascade,
    latent integer not null,
    explanation_id text collate "C" not null references explanation (id) on delete cascade,
    primary key (job_id, latent, explanation_id)
);

-- What hangs on an explanation that is deleted.
create index job_explanation_of_explanation on job_explanation (explanation_id);
