"""The authorised-operation licence (授权运营协议): who may do what with which data, in which scenario, how much, until when.

Its fields are those a cooperation agreement must settle under the Shanxi regulation on government data (2020 draft) art. 20 para. 1: scope
(datasets, columns, uses), degree (loss, job kinds), term, disposal at the end, ownership of what is made. Authorisation by scenario
follows Implementing Opinion Jinshufa [2025] 3, part 2 (3) item 7; the decision document its item 8 (三重一大).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, field_validator, model_validator

from policies.catalogue import Catalogue, Model, Name, Title, Use
from policies.catalogue import Identifier as Identifier
from policies.degree import Degree as Degree
from policies.degree import stated
from policies.life import LicenceState as LicenceState
from policies.problem import declare
from policies.quota import Quota
from policies.reasons import Reason, all_wrong, explained, parse_toml, reasons_of, wrong
from policies.tariff import Tariff
from policies.terms import Decision as Decision
from policies.terms import Disposal as Disposal

licence_invalid = declare(
    "licence_invalid",
    zh=("协议文件有误", "共 {count} 处；第一处在 {path}：{reason_zh}。", "请按所列各处修改协议文件，再次提交；本次未作任何授权。"),
    en=(
        "The licence file has errors",
        "Faults: {count}; the first at {path}: {reason_en}.",
        "Correct the places listed and submit it again. Nothing was granted.",
    ),
)

# answered with noise; exact totals that people review; rows nobody is behind; operators' programs; models by noisy steps
JobKind = Literal["sql", "exact", "synthetic", "program", "model"]


class ColumnGrant(Model):
    name: Name
    uses: tuple[Use, ...] = Field(min_length=1)


class DatasetGrant(Model):
    """A dataset in scope. `columns` None grants every column with the uses its catalogue entry allows; a grant never widens those.

    `consent` numbers the document by which the body that provides a conditionally shared dataset agreed; `second_approval` the second
    decision that important data needs beside the licence's own.
    """

    dataset: Name
    columns: tuple[ColumnGrant, ...] | None = None
    consent: str | None = Field(default=None, min_length=1, max_length=200, description="有条件共享：数据提供方审核同意文件号")
    second_approval: str | None = Field(default=None, min_length=1, max_length=200, description="重要数据：第二次审批文件号")

    def allows(self, column: str, use: Use) -> bool:
        if self.columns is None:
            return True
        return any(grant.name.casefold() == column.casefold() and use in grant.uses for grant in self.columns)


class Licence(Model):
    """The agreement. An operator's application is one without `decision_document`, which the bureau adds when it grants. `renews` names the
    licence this one follows, when that has come to its end."""

    id: Identifier
    operator: Identifier
    title: Title
    datasets: tuple[DatasetGrant, ...] = Field(min_length=1)
    scenarios: tuple[Identifier, ...] = Field(min_length=1)
    job_kinds: tuple[JobKind, ...] = Field(default=("sql",), min_length=1)
    per_job: Degree
    total: Degree
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    decision_document: Decision | None = Field(default=None, description="三重一大集体决策文件：文号、日期、摘要；申请时可缺")
    disposal: Disposal = Disposal()
    renews: Identifier | None = None
    results_owner: Literal["operator", "bureau", "shared"] = "operator"
    quota: Quota = Quota()
    tariff: Tariff | None = Field(default=None, description="价目与收益分配；不写则不收费")

    @field_validator("per_job", mode="before")
    @classmethod
    def _each(cls, given: Any) -> Any:
        return stated(given, Degree.admitting)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.valid_until <= self.valid_from:
            raise wrong("协议的截止时刻须晚于起始时刻", "it ends before it starts")
        if self.valid_from.year < 2000 or self.valid_until.year > 9998:
            raise wrong("协议的期限须在 2000 年至 9998 年之间", "its term must lie between the years 2000 and 9998")
        if not self.total.loss.covers(self.per_job.loss):
            each, total = self.per_job.loss, self.total.loss
            raise wrong(
                f"单个作业的上限（ρ {each.rho}、δ {each.delta}）不得超过总额（ρ {total.rho}、δ {total.delta}）",
                f"one job (rho {each.rho}, delta {each.delta}) may not spend more than the total (rho {total.rho}, delta {total.delta})",
            )
        names = [grant.dataset.casefold() for grant in self.datasets]
        if len(set(names)) != len(names):
            raise wrong("同一数据集只授权一次", "a dataset is granted once")
        faults = list(self.tariff.faults_in((grant.dataset for grant in self.datasets), self.scenarios)) if self.tariff else []
        if faults:
            raise all_wrong(faults)
        return self

    def grant_on(self, dataset: str) -> DatasetGrant | None:
        return next((grant for grant in self.datasets if grant.dataset.casefold() == dataset.casefold()), None)

    def in_force(self, now: datetime) -> bool:
        return self.valid_from <= now < self.valid_until

    def as_applied(self) -> Licence:
        """The same without what is not an applicant's to say: the bureau's decision, consents, second approvals."""
        bare = tuple(grant.model_copy(update={"consent": None, "second_approval": None}) for grant in self.datasets)
        return self.model_copy(update={"datasets": bare, "decision_document": None})

    def with_references(self, *, consents: Mapping[str, str], approvals: Mapping[str, str], decision: Decision | None) -> Licence:
        """The same with the numbers of documents put in, where it has none yet: by case-folded dataset, and the decision's."""

        def filled(grant: DatasetGrant) -> DatasetGrant:
            name = grant.dataset.casefold()
            return grant.model_copy(
                update={
                    "consent": grant.consent or consents.get(name),
                    "second_approval": grant.second_approval or approvals.get(name),
                }
            )

        return Licence.model_validate(
            dict(self) | {"datasets": tuple(filled(grant) for grant in self.datasets), "decision_document": decision or self.decision_document}
        )


def licence_from_toml(text: str) -> Licence:
    """The licence a file states. Raises `licence_invalid`, with one located part per fault."""
    document = parse_toml(text, licence_invalid)
    try:
        return Licence.model_validate(document)
    except ValidationError as error:
        raise explained(licence_invalid, reasons_of(error, document)) from None


def check_scope(licence: Licence, catalogue: Catalogue) -> None:
    """Raise `licence_invalid` when the licence grants a dataset or column that is not registered: a typing error must not wait for a job."""
    faults: list[Reason] = []
    for place, grant in enumerate(licence.datasets):
        path = f"datasets[{place}]({grant.dataset})"
        if grant.dataset not in catalogue:
            faults.append(Reason(path, "没有登记这个数据集", "no such dataset is registered"))
            continue
        dataset = catalogue[grant.dataset].dataset
        for column in grant.columns or ():
            there = dataset.get(column.name)
            if there is None:
                faults.append(Reason(f"{path}.columns({column.name})", "数据集没有这一列", "the dataset has no such column"))
                continue
            beyond = ", ".join(use for use in column.uses if use not in there.uses)
            if beyond:
                zh, en = f"目录不许可此列用于 {beyond}", f"the catalogue does not allow this column's use for {beyond}"
                faults.append(Reason(f"{path}.columns({column.name}).uses", zh, en))
    faults += licence.tariff.reasons_beside(catalogue, (grant.dataset for grant in licence.datasets)) if licence.tariff else ()
    if faults:
        raise explained(licence_invalid, faults)
