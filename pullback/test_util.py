"""Checks for derivatives and for custom rules, to be used in tests."""

from pullback.checking.given import check_jvp as check_jvp
from pullback.checking.given import check_vjp as check_vjp
from pullback.checking.grads import check_grads as check_grads
from pullback.checking.report import RuleReport as RuleReport
from pullback.checking.rules import check_rules as check_rules
from pullback.checking.rules import rule_report as rule_report
