"""Every command of the client, as a table: noun, verb, what it does, and where the function is. Nothing is imported to list them."""

from __future__ import annotations

from yunei.cli.noun import Noun as Noun
from yunei.cli.noun import Verb as Verb

NOUNS: tuple[Noun, ...] = (
    Noun(
        "job",
        "提交作业、查询进展",
        "submit jobs and see what becomes of them",
        (
            Verb("check", "价格、误差与全部拒绝理由；不花预算", "price, expected error and every refusal; free", "job:check"),
            Verb(
                "check-batch",
                "把一个总预算分给多个查询并逐个报价；不花预算",
                "divide one loss over many queries and quote each; free",
                "batch:check_batch",
            ),
            Verb("dummy", "在虚构数据上试跑；不花预算", "try it on invented rows; free", "job:dummy"),
            Verb("preflight", "精确汇总预检；不读数据", "what rules say of an exact table; nothing is read", "review:preflight"),
            Verb("submit", "提交作业，等待并显示结果", "submit, wait and show the answer", "job:submit"),
            Verb("wait", "等待作业结束并显示结果", "wait for a job and show its answer", "job:wait"),
            Verb("list", "我的作业，新的在前", "your jobs, newest first", "job:list_"),
            Verb("show", "一个作业的全部情况", "all about one job", "job:show"),
            Verb("cancel", "取消作业；读取数据之前取消不支出预算", "cancel a job; free before rows are read", "job:cancel"),
        ),
    ),
    Noun(
        "model",
        "回归与聚类模型",
        "regressions and k-means",
        (
            Verb("check", "价格、模型说明与全部拒绝理由；不花预算", "price, model card and every refusal; free", "model:check"),
            Verb("dummy", "在虚构数据上试跑；不花预算", "try it on invented rows; free", "model:dummy"),
            Verb("submit", "提交模型作业，等待并显示结果", "submit, wait and show coefficients or clusters", "model:submit"),
            Verb("card", "已发布模型的说明：机制、界限、步骤、价格", "a released model's card: mechanism, bounds, steps, price", "model:card"),
        ),
    ),
    Noun(
        "review",
        "精确汇总的人工审核",
        "exact tables and the people who let them out",
        (
            Verb("request", "提请审核", "ask for the review of held jobs", "review:request"),
            Verb("list", "审核列表；--overdue 看逾期", "reviews; --overdue for late ones", "review:list_"),
            Verb("show", "一项审核及其理由", "one review, and its reasons", "review:show"),
            Verb("withdraw", "撤回提请", "withdraw a request", "review:withdraw"),
            Verb("look", "审核台：表、风险与证据；查看会记入日志", "the workbench: table, risks, evidence; looks are logged", "review:look"),
            Verb("vote", "投票：同意发布、退回、不予发布", "vote: release, return or reject", "review:vote"),
        ),
    ),
    Noun(
        "duty",
        "审核值班与回避",
        "who reviews, and when; conflicts",
        (
            Verb("list", "值班名单与回避", "the duty list, and conflicts", "review:duty_list"),
            Verb("set", "安排值班（监管员）", "set a duty (supervisors)", "review:duty_set"),
            Verb("end", "提前结束值班", "end a duty early", "review:duty_end"),
            Verb("conflict", "申报回避；--lift 解除", "declare a conflict; --lift lifts it", "review:duty_conflict"),
        ),
    ),
    Noun(
        "standing",
        "常态批准：同一问题在新数据上的发布",
        "standing approvals: the same question on new data",
        (
            Verb("list", "常态批准", "standing approvals", "review:standing_list"),
            Verb("propose", "提出（两人办理时的第一人）", "propose one: the first of two", "review:standing_propose"),
            Verb("confirm", "确认（第二人）", "confirm it: the second", "review:standing_confirm"),
            Verb("end", "终止，立即生效", "end it, at once", "review:standing_end"),
        ),
    ),
    Noun(
        "release",
        "查看、下载、验证发布结果",
        "look at, fetch and verify what left the sandbox",
        (
            Verb("list", "发布结果，新的在前", "releases, newest first", "release:list_"),
            Verb("show", "显示发布结果及其说明", "show a release and what is known of it", "release:show"),
            Verb("fetch", "下载发布结果；中断后可续传", "download a release; resumes", "release:fetch"),
            Verb("verify", "验证回执、日志与内容", "verify receipt, log and bytes", "release:verify"),
            Verb("quality", "合成数据的质量", "how good a synthetic table is", "synthetics:quality"),
        ),
    ),
    Noun(
        "product",
        "数据产品：制作、登记、取用、核验",
        "data products: made, registered, fetched, verified",
        (
            Verb("list", "产品目录，可检索", "products; --find to search", "product:list_"),
            Verb("show", "版本、来源、误差、价格与条件", "versions, sources, error, price, terms", "product:show"),
            Verb("preview", "已发布表的前几行", "the first rows of what was released", "product:preview"),
            Verb("draft", "起草产品", "draft a product", "product:draft"),
            Verb("describe", "修改草稿的说明", "say something else of a draft", "product:describe"),
            Verb("add", "以发布结果加入一个版本", "add a version, made of releases", "product:add"),
            Verb("propose", "提议登记（两人办理时的第一人）", "propose its registration: the first of two", "product:propose"),
            Verb("register", "登记并赋码", "register it, and give it its code", "product:register"),
            Verb("publish", "上架", "publish", "product:publish"),
            Verb("entitle", "授予数商取用资格", "entitle a builder", "product:entitle"),
            Verb("disentitle", "终止取用资格", "end an entitlement", "product:disentitle"),
            Verb("deprecate", "不再更新", "deprecate: no further versions", "product:deprecate"),
            Verb("recall", "召回产品或一个版本", "recall it, or one version", "product:recall"),
            Verb("fetch", "下载产品及其凭证；中断后可续传", "download it with its evidence; resumes", "product:fetch"),
            Verb("verify", "离线核验已下载的产品", "verify what was fetched, offline", "product:verify"),
            Verb("link", "申请交付，得到短期链接", "have it delivered: a link good for a while", "product:link"),
            Verb("deliveries", "交付记录", "what was delivered", "product:deliveries"),
            Verb("trace", "追溯文件是谁的副本", "trace a file: whose copy it is", "synthetics:trace"),
            Verb("profile", "Delta Sharing 配置文件", "a profile file for Delta Sharing", "product:profile"),
            Verb("schedule", "数据每有新版本即制作一次", "a release on each new version of its data", "product_more:schedule"),
            Verb("schedules", "定期制作", "schedules, and what their jobs came to", "product_more:schedules"),
            Verb("unschedule", "停止定期制作", "stop a schedule", "product_more:unschedule"),
        ),
    ),
    Noun(
        "webhook",
        "订阅产品变化",
        "be told of what happens to products",
        (
            Verb("list", "自己的订阅", "your webhooks", "product_more:webhooks"),
            Verb("open", "订阅；签名密钥只显示一次", "subscribe; the secret is shown once", "product_more:webhook_open"),
            Verb("rotate", "更换签名密钥", "another secret", "product_more:webhook_rotate"),
            Verb("test", "发送一条测试消息", "send a trial", "product_more:webhook_test"),
            Verb("log", "发送记录", "what was sent", "product_more:webhook_log"),
            Verb("close", "关闭", "close", "product_more:webhook_close"),
        ),
    ),
    Noun(
        "dataset",
        "已登记的公共数据",
        "the datasets that are registered",
        (
            Verb("list", "已登记的数据集，可检索", "registered datasets; --find to search", "catalogue:datasets"),
            Verb("show", "数据集的列、类型、范围与用途", "a dataset's columns, types, ranges and uses", "catalogue:dataset"),
            Verb("versions", "各版本、来源文件与登记状态", "versions, source files, registration", "dataset:versions"),
            Verb("metadata", "元数据：DCAT、CSVW、TOML", "metadata: DCAT, CSVW, TOML", "dataset:metadata"),
            Verb("check", "核对目录文件，不登记", "check a catalogue file; nothing is registered", "dataset:check"),
            Verb("withdraw", "撤回数据集或一个版本", "withdraw a dataset, or one version", "dataset:withdraw"),
            Verb(
                "destroy",
                "销毁已撤回的数据：一人提议，另一人确认",
                "destroy what was withdrawn: one proposes, another confirms",
                "dataset:destroy",
            ),
            Verb("destructions", "数据销毁的提议与执行", "destructions proposed and carried out", "dataset:destructions"),
            Verb("registration", "登记状态前进一级", "registration one state further", "dataset:registration"),
        ),
    ),
    Noun(
        "licence",
        "授权运营协议",
        "the licences that jobs run under",
        (
            Verb("list", "我的协议", "your licences", "catalogue:licences"),
            Verb("show", "协议的范围、期限与预算", "a licence: scope, term, budget", "catalogue:licence"),
            Verb("document", "协议文本：签名正本、网页、ODRL 等", "its paper: signed original, page, ODRL, …", "licence:document"),
            Verb("history", "历次办理记录", "every act in its life", "licence:history"),
            Verb("verify", "离线核验协议签名", "verify a licence's signature, offline", "licence:verify"),
            Verb("apply", "申请协议", "apply for a licence", "licence:apply"),
            Verb("consent", "来源部门同意", "consent, as the source body", "licence:consent"),
            Verb("decline", "不予授权", "decline an application", "licence:decline"),
            Verb("approve", "授予所申请的协议，或由两人办理", "grant what was applied for, also as two people", "licence:approve"),
            Verb("amend", "变更或续期，账户不变", "amend or renew; accounts are kept", "licence:amend"),
        ),
    ),
    Noun(
        "account",
        "隐私预算账户",
        "privacy budgets",
        (
            Verb("list", "上限、已用、剩余", "cap, used and left", "catalogue:accounts"),
            Verb("propose", "提议提高上限（第一人）", "propose a higher cap: the first of two", "account:propose"),
            Verb("confirm", "确认提议（另一人），上限立即提高", "confirm it: another person; the cap rises", "account:confirm"),
            Verb("proposals", "提高上限的提议", "proposals to raise a cap", "account:proposals"),
        ),
    ),
    Noun(
        "fee",
        "费用明细",
        "what was charged",
        (Verb("list", "费用，新的在前", "fees, newest first", "billing:list_"),),
    ),
    Noun(
        "statement",
        "对账单与收益分配",
        "statements, and who shares in the revenue",
        (
            Verb("show", "各协议在一个周期内的对账单", "statements of a period, by licence", "billing:show"),
            Verb("bodies", "收益分配：各来源部门应得", "revenue of a period, by body", "billing:bodies"),
        ),
    ),
    Noun(
        "period",
        "结算周期",
        "settlement periods",
        (Verb("close", "关账：过账月费，核对准许收入，超出结转", "close a period, in order, for good", "billing:close"),),
    ),
    Noun(
        "freeze",
        "应急处置：暂停与解除",
        "emergency stops: one freezes, two thaw",
        (
            Verb("set", "应急暂停，立即生效", "freeze at once: everything, an operator, a licence, a dataset", "authority:freeze_set"),
            Verb("list", "应急处置一览", "every freeze, newest first", "authority:freeze_list"),
            Verb("thaw", "解除：一人提议，另一人确认", "lift it: one supervisor proposes, another confirms", "authority:freeze_thaw"),
        ),
    ),
    Noun(
        "policy",
        "授权策略：规则与变更",
        "the policy that decides, and its changes",
        (
            Verb("show", "现行规则及其依据", "the rules in force, and their basis in law", "authority:policy_show"),
            Verb("versions", "历次提议与变更", "every policy proposed, and which came into force", "authority:policy_versions"),
            Verb("propose", "提议变更", "propose a change", "authority:policy_propose"),
            Verb("confirm", "确认他人提议的变更，立即生效", "confirm what another proposed: in force at once", "authority:policy_confirm"),
        ),
    ),
    Noun(
        "alert",
        "监测预警：告警与处理",
        "alerts: what the server wants supervisors to look at",
        (
            Verb("list", "告警，由新到旧", "alerts, newest first", "alerts:listed"),
            Verb("show", "一项告警及其依据", "one alert with its evidence", "alerts:show"),
            Verb("ack", "确认告警，由本人处理", "acknowledge: seen, and taken on", "alerts:acknowledge"),
            Verb("close", "办结告警：已处理，或误报", "close: handled, or a false alarm", "alerts:close"),
        ),
    ),
    Noun(
        "alert-rules",
        "监测规则与变更",
        "the rules that alerts are raised by, and their changes",
        (
            Verb("show", "现行规则与误报数", "the rules in force, with their false alarms", "alerts:rules"),
            Verb("check", "检查一份规则，不作变更", "check a set of rules; nothing changes", "alerts:check"),
            Verb("propose", "提议变更", "propose a change", "alerts:propose"),
            Verb("confirm", "确认他人提议的变更", "confirm what another proposed", "alerts:confirm"),
            Verb("history", "历次提议与变更", "every set proposed, and which came into force", "alerts:history"),
        ),
    ),
    Noun(
        "rule-pack",
        "披露控制规则包与变更",
        "the rules that exact tables are checked by, and their changes",
        (
            Verb("show", "现行规则包", "the pack in force", "rulepacks:show"),
            Verb("check", "检查一份规则包，不作变更", "check a pack; nothing changes", "rulepacks:check"),
            Verb("propose", "提议变更", "propose a change", "rulepacks:propose"),
            Verb("confirm", "确认他人提议的变更，立即生效", "confirm what another proposed: in force at once", "rulepacks:confirm"),
            Verb("history", "历次提议与变更", "every pack proposed, and which came into force", "rulepacks:history"),
        ),
    ),
    Noun(
        "mail",
        "邮件通知",
        "notifications by mail",
        (
            Verb("show", "自己的邮箱与事项", "your address, and what it is told of", "mail:show"),
            Verb("set", "设置邮箱与事项，向新地址发确认码", "set it; a new address is sent a code", "mail:put"),
            Verb("confirm", "以确认码确认", "confirm it by the code", "mail:confirm"),
            Verb("code", "重新发送确认码", "send the code again", "mail:code"),
            Verb("test", "发送试验邮件", "send a trial", "mail:trial"),
            Verb("messages", "发送记录", "what was sent, with every attempt", "mail:messages"),
            Verb("close", "停止邮件通知", "no more mail", "mail:close"),
        ),
    ),
    Noun(
        "report",
        "信息报送与披露：预览、签发、取回、核验",
        "reports from the register: preview, issue, fetch, verify",
        (
            Verb("kinds", "报告种类、周期与依据", "kinds of report, their periods, the articles they serve", "report:kinds"),
            Verb("list", "已签发的报告", "reports issued", "report:listed"),
            Verb("preview", "预览，不签发", "a preview; entered nowhere", "report:preview"),
            Verb("issue", "签发，摘要入册并签名", "issue one: digests into the register, signed", "report:issue"),
            Verb("show", "一份报告及其文件的摘要", "one report, with the digests of its files", "report:show"),
            Verb("get", "取回各文件与签名声明", "fetch its files and the signed statement", "report:get"),
            Verb("verify", "离线核验报告的文件", "verify files of a report, offline", "report:verify"),
        ),
    ),
    Noun(
        "program",
        "算法登记与审查",
        "the algorithm registry",
        (
            Verb("new", "新建一个程序的文件夹", "a folder to begin a program with", "program:new"),
            Verb("test", "在虚构数据上试运行，附全部报错", "try it on invented rows, with every traceback", "program:trial"),
            Verb("submit", "提交算法（文件夹或 zip）", "submit a program: a folder or a zip", "authority:program_submit"),
            Verb("list", "已登记的算法", "registered programs", "authority:program_list"),
            Verb("show", "清单、静态报告与源代码", "manifest, static report, sources", "authority:program_show"),
            Verb("review", "审查：approve 或 reject", "review: approve or reject", "authority:program_review"),
            Verb("withdraw", "撤回自己的算法", "withdraw a program of yours", "authority:program_withdraw"),
            Verb("invalidate", "使已批准的算法失效", "make an approved program invalid", "authority:program_invalidate"),
        ),
    ),
    Noun(
        "log",
        "发布日志：查看与验证",
        "the log of everything released",
        (
            Verb("verify", "从第一条起重算整个日志，并与签名核对", "recompute the whole log and hold it against its signature", "log:verify"),
            Verb(
                "audit",
                "审计日志副本：逐条重放，重算账户与计量",
                "audit a copy: replay every entry, recompute accounts and meters",
                "log:audit",
            ),
            Verb("show", "日志检查点与最近的记录", "the log's checkpoint and its latest entries", "log:show"),
        ),
    ),
    Noun(
        "key",
        "访问密钥",
        "access keys",
        (
            Verb(
                "list",
                "密钥的前缀、主体、状态与最近使用日",
                "prefixes, whose they are, state, last day of use",
                "people:key_list",
                on_home=True,
            ),
            Verb("issue", "签发密钥，只显示一次", "issue a key; it is shown once", "people:key_issue", on_home=True),
            Verb("rotate", "轮换自己的密钥；新旧并行一段时间", "replace a key of yours; both work for a while", "people:key_rotate"),
            Verb("revoke", "撤销密钥，立即失效", "revoke a key, at once", "people:key_revoke", on_home=True),
        ),
    ),
    Noun(
        "principal",
        "主体：机构与人员",
        "principals: bodies and persons",
        (
            Verb("list", "全部主体", "all principals", "people:principal_list", on_home=True),
            Verb("show", "一个主体", "one principal", "people:principal_show"),
            Verb("register", "登记运营单位或数商", "register an operator or a builder", "people:principal_register", on_home=True),
            Verb("suspend", "停用，立即生效", "suspend, at once", "people:principal_suspend", on_home=True),
            Verb("resume", "恢复", "resume", "people:principal_resume", on_home=True),
            Verb("close", "注销，不可恢复", "close for good", "people:principal_close", on_home=True),
            Verb("link", "关联统一登录身份", "link a subject of the identity provider", "people:principal_link", on_home=True),
            Verb("unlink", "解除关联", "unlink a subject", "people:principal_unlink"),
        ),
    ),
    Noun(
        "appointment",
        "任命监管、审核等人员：一人提出，一人确认",
        "appointments to roles that decide: proposed by one, confirmed by another",
        (
            Verb("list", "提出过的任命", "what was proposed", "people:appointment_list"),
            Verb("propose", "提出（管理员）", "propose, as an administrator", "people:appointment_propose"),
            Verb("confirm", "确认（监管员）", "confirm, as a supervisor", "people:appointment_confirm"),
        ),
    ),
    Noun(
        "session",
        "登录会话",
        "sessions of people who signed in",
        (
            Verb("list", "有效会话", "open sessions", "people:session_list"),
            Verb("close", "结束会话", "end a session", "people:session_close"),
        ),
    ),
    Noun(
        "",
        "",
        "",
        (
            Verb("login", "保存服务器地址与密钥（仅本人可读）", "store address and key, readable by you alone", "user:login"),
            Verb("logout", "退出：结束会话，删除本机保存的密钥", "end the session and forget the key stored here", "user:logout"),
            Verb("whoami", "当前密钥属于谁、可以做什么", "whose key this is and what it may do", "user:whoami"),
        ),
    ),
)


def find(noun: str, verb: str) -> Verb | None:
    """The client's own verb, or None: then another package may have it."""
    for group in NOUNS:
        for candidate in group.verbs:
            if (group.name, candidate.name) == (noun, verb) or (not group.name and candidate.name == noun):
                return candidate
    return None
