"""How long a question takes, what it costs and what holds it up, on machines that are not here: a simulation on measured numbers."""
