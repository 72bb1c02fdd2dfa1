using CdcOrleans.Gateway.Api;
using CdcOrleans.Model.Entities;
using CsCheck;
using Xunit;

namespace CdcOrleans.Unit.Gateway;

public class EntityAddressTests
{
    [Theory]
    [InlineData("/api/v1/entities/shop/public.orders/1", "shop", "public.orders", "1")]
    [InlineData("/api/v1/entities/shop/public.orders/a/b", "shop", "public.orders", "a/b")]
    [InlineData("/api/v1/entities/shop/public.orders/a%2Fb", "shop", "public.orders", "a/b")]
    [InlineData("/api/v1/entities/shop/public.orders/a%2fb", "shop", "public.orders", "a/b")]
    [InlineData("/api/v1/entities/shop/public.orders/a%252Fb", "shop", "public.orders", "a%2Fb")]
    [InlineData("/api/v1/entities/shop/public.orders/100%25", "shop", "public.orders", "100%")]
    [InlineData("/api/v1/entities/shop/public.orders/a%20b%2Cc+d", "shop", "public.orders", "a b,c+d")]
    [InlineData("/api/v1/entities/shop/public.orders/%C3%A4%E2%82%AC", "shop", "public.orders", "ä€")]
    [InlineData("/api/v1/entities/shop/public.orders/%2E%2E", "shop", "public.orders", "..")]
    [InlineData("/api/v1/entities/shop/public.orders/1?x=/y", "shop", "public.orders", "1")]
    [InlineData("/api/v1/entities/shop/public.in%2Fout%25/1", "shop", "public.in/out%", "1")]
    [InlineData("/api/v1/entities/shop/public.orders/", "shop", "public.orders", "")]
    [InlineData("/api/v1/entities/shop/public.orders?key=1", "shop", "public.orders", "")]
    [InlineData("/API/V1/Entities/shop/public.orders/1", "shop", "public.orders", "1")]
    [InlineData("http://127.0.0.1:8080/api/v1/entities/shop/public.orders/1", "shop", "public.orders", "1")]
    public void An_address_names_an_entity(string target, string source, string table, string key) =>
        Assert.Equal(new EntityId(source, new EntityKey(table, key)), EntityAddress.Parse(target));

    [Theory]
    [InlineData("")]
    [InlineData("*")]
    [InlineData("/api/v1/entities/")]
    [InlineData("/api/v1/entities/shop")]
    [InlineData("/api/v1/entities/shop/")]
    [InlineData("/api/v1/entities//public.orders/1")]
    [InlineData("/api/v1/entities/shop//1")]
    [InlineData("/api/v1/sources/shop/public.orders/1")]
    [InlineData("http://127.0.0.1:8080")]
    public void Other_addresses_name_none(string target) => Assert.Null(EntityAddress.Parse(target));

    [Fact]
    public void The_path_base_is_left_out() =>
        Assert.Equal(
            new EntityId("shop", new EntityKey("public.orders", "1")), EntityAddress.Parse("/cdc/api/v1/entities/shop/public.orders/1", "/cdc"));

    [Fact]
    public void Whatever_is_escaped_comes_back() =>
        Gen.Select(Gen.String.AlphaNumeric.Where(s => s.Length > 0), Gen.String.Where(IsText), Gen.String.Where(s => s.Length == 0 || IsText(s)))
            .Sample((source, table, key) =>
            {
                var target = EntityAddress.Prefix + string.Join('/', new[] { source, table, key }.Select(Uri.EscapeDataString));
                return EntityAddress.Parse(target) == new EntityId(source, new EntityKey(table, key));
            });

    // Half a surrogate pair is no text: it cannot be written in UTF-8.
    private static bool IsText(string text) => text.Length > 0 && !text.Any(char.IsSurrogate);
}
