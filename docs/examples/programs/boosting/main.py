"""How well can death be foreseen? Boosted trees are fitted on two thirds of a block and scored on the rest; no model leaves, only its score."""

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score

USED = ["age", "male", "bmi"]


def run(rows, parameters):
    there = rows.dropna(subset=["status"])
    given = there[USED].astype(float)
    given = given.fillna(given.mean()).fillna(0.0).to_numpy()
    died = (there["status"].to_numpy(float) > 0).astype(int)
    held = np.arange(len(there)) % 3 == 0
    if min(died[held].sum(), (1 - died[held]).sum(), died[~held].sum(), (1 - died[~held]).sum()) < 3:
        return {}
    model = GradientBoostingClassifier(n_estimators=parameters["trees"], max_depth=2, subsample=0.8, random_state=0)
    model.fit(given[~held], died[~held])
    score = roc_auc_score(died[held], model.predict_proba(given[held])[:, 1])
    return {"auc": score, "from_age": model.feature_importances_[0]}
