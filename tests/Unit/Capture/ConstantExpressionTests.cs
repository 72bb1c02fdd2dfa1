using CdcOrleans.Capture.Postgres.Schemas;
using Xunit;

namespace CdcOrleans.Unit.Capture;

public sealed class ConstantExpressionTests
{
    [Theory]
    [InlineData("7", "7")]
    [InlineData("1.50", "1.50")]
    [InlineData("'-1'::integer", "-1")]
    [InlineData("(-1)", "-1")]
    [InlineData("(0)::numeric", "0")]
    [InlineData("0.00::numeric(10,2)", "0.00")]
    [InlineData("true", "t")]
    [InlineData("false", "f")]
    [InlineData("'it''s'::text", "it's")]
    [InlineData("''::character varying", "")]
    [InlineData("'low'::public.mood", "low")]
    [InlineData("'{}'::jsonb", "{}")]
    [InlineData("'{1,2}'::integer[]", "{1,2}")]
    [InlineData("'2024-01-01 00:00:00'::timestamp without time zone", "2024-01-01 00:00:00")]
    [InlineData("'2024-01-01'::timestamp(3) without time zone", "2024-01-01")]
    public void A_constant_has_a_text(string expression, string text) => Assert.Equal(text, ConstantExpression.TextOf(expression));

    [Theory]
    [InlineData("now()")]
    [InlineData("nextval('t_id_seq'::regclass)")]
    [InlineData("NULL::character varying")]
    [InlineData("('a'::text || 'b'::text)")]
    [InlineData("'a'::text || 'b'::text")]
    [InlineData("lower('A'::text)")]
    [InlineData("E'a\\\\b'::text")]
    [InlineData("1 + 1")]
    [InlineData("CURRENT_TIMESTAMP")]
    public void What_is_computed_has_none(string expression) => Assert.Null(ConstantExpression.TextOf(expression));
}
