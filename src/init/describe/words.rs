//! What columns, files and events are called, in the languages and public data sets that shops use.
//!
//! A name is cut into words (`InvoiceDate`, `invoice_date` and `Invoice Date` are the same) and
//! compared with lists in English, German, French, Spanish and Portuguese. Words only propose: the
//! values of a column decide.

/// What a column can be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    Customer,
    Article,
    Order,
    Time,
    Price,
    Quantity,
    Event,
    Rating,
    Channel,
    Status,
    Title,
    Image,
    Available,
    /// The number of a customer's order: an order in time without dates.
    Sequence,
}

/// What an event stands for in the life of a purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Purchase,
    Cart,
    Like,
    View,
}

/// A name in lower case without accents, cut into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(Vec<String>);

impl Words {
    pub fn of(name: &str) -> Self {
        let mut words: Vec<String> = Vec::new();
        let mut before = ' ';
        for c in name.chars() {
            let starts = c.is_uppercase() && before.is_lowercase();
            if !c.is_alphanumeric() || starts {
                words.push(String::new());
            }
            if c.is_alphanumeric() {
                if words.is_empty() {
                    words.push(String::new());
                }
                if let Some(word) = words.last_mut() {
                    c.to_lowercase()
                        .for_each(|c| word.push_str(plain(c).unwrap_or(&c.to_string())));
                }
            }
            before = c;
        }
        words.retain(|word| !word.is_empty());
        Self(words)
    }

    /// All words in one.
    pub fn joined(&self) -> String {
        self.0.concat()
    }

    /// Whether one of the words of a list, separated by blanks, is there.
    pub fn has(&self, list: &str) -> bool {
        self.0.iter().any(|word| lists(list, word))
    }

    /// Whether a word begins or ends with one of these: German and its compounds.
    fn touches(&self, list: &str) -> bool {
        let touches = |word: &String, part: &str| word.starts_with(part) || word.ends_with(part);
        self.0.iter().any(|word| list.split_ascii_whitespace().any(|part| touches(word, part)))
    }
}

/// Whether a list of words, separated by blanks, holds this one.
fn lists(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == word)
}

/// A letter without its accent.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => "a",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' => "o",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'ß' => "ss",
        _ => return None,
    })
}

const KEY: &str = "\
    id ids nr no num number nummer numero key code codigo hash uuid guid identifier ref sku \
    unique";
const CUSTOMER: &str = "\
    customer cust user usr client member buyer shopper visitor household reviewer person \
    consumer account patron kunde kunden kd kaufer benutzer nutzer besteller mitglied haushalt \
    acheteur utilisateur membre cliente usuario comprador consumidor miembro";
const CUSTOMER_EXACT: &str = "\
    customerid userid visitorid clientid memberid householdid householdkey reviewerid \
    customeruniqueid kundennummer kundennr kundenid kdnr uid idcliente clienteid idclient \
    idusuario fullvisitorid cookieid deviceid loyaltyid cardid cardnumber user customer client \
    visitor kunde cliente usuario u";
const EMAIL: &str = "email mail correo courriel";
const ARTICLE: &str = "\
    article item product prod sku stock movie book game song track artikel art produkt ware \
    produit producto articulo produto artigo goods asin isbn variant anime recipe lineitem \
    listing";
const ARTICLE_EXACT: &str = "\
    articleid itemid productid sku stockcode asin parentasin isbn movieid bookid gameid \
    artikelnummer artikelnr artnr artikelid produktid produktnummer idproducto productoid \
    idproduit produitid idproduto produtoid codigoproducto codigoproduto referenceproduit \
    codearticle lineitemsku productcode itemcode iid handle item article product artikel \
    producto produto produit prodid i items skus";
/// An article's or customer's property, whatever stands before it.
const PROPERTY: &str = "\
    name title category categoria categorie kategorie type typ tipo group gruppe class subclass \
    aisle department description desc beschreibung price preis prix precio preco count brand \
    marke marca weight length width height size colour color city state zip country land pais \
    pays age gender segment photos image url rating subcategory status date time qty quantity \
    session phone first last address options option discount position tags vendor notes since \
    agent";
const ORDER: &str = "\
    order invoice basket transaction receipt bestellung bestell rechnung auftrag bon commande \
    facture ticket panier pedido factura encomenda fatura recibo orders cart";
const ORDER_EXACT: &str = "\
    orderid orderno ordernumber invoiceno invoiceid basketid transactionid receiptid \
    bestellnummer bestellnr bestellid rechnungsnummer rechnungsnr auftragsnummer auftragsnr \
    belegnummer idcommande commandeid idpedido pedidoid numeropedido order invoice basket \
    bestellung commande pedido";
const TIME: &str = "\
    time timestamp date datetime day ts at when datum zeit zeitpunkt zeitstempel fecha dia jour \
    heure data dat dt moment tag clock hora timeframe";
const TIME_PARTS: &str = "datum date zeit timestamp fecha time";
/// Moments of the purchase itself.
const TIME_GOOD: &str = "\
    order ordered purchase purchased bought invoice transaction created event review unix \
    bestell kauf rechnung commande achat compra pedido sale sold trans";
const TIME_BAD: &str = "\
    birth dob birthday geburtsdatum updated modified shipping shipped delivery delivered \
    estimated approved expiry expires limit release cancelled canceled fulfilled signup \
    registered registration join joined since paid carrier versand lieferdatum returned return \
    refunded refund deleted voided";
const PRICE: &str = "\
    price amount revenue preis betrag umsatz prix montant precio importe preco valor cost total \
    sales value";
const PRICE_PARTS: &str = "preis price";
const PRICE_BAD: &str = "\
    freight discount disc compare shipping tax taxes outstanding shipped fee fees currency \
    versand deposit tip tips";
const QUANTITY: &str = "\
    quantity qty units pieces menge anzahl stuck stueck quantite qte cantidad unidades \
    quantidade qtd qtde";
const EVENT: &str = "\
    event events behavior behaviour action type activity feedback interaction ereignis aktion \
    evenement evento accion acao kind";
const RATING: &str = "\
    rating ratings stars score overall bewertung sterne nota note puntuacion avaliacao";
const CHANNEL: &str = "channel kanal canal";
const STATUS: &str = "status state statut estado zustand";
const TITLE: &str = "\
    title name titel bezeichnung titre libelle titulo nombre nome designation description desc \
    artikelbezeichnung produktname produktbezeichnung descricao descripcion";
const IMAGE: &str = "image img picture photo bild imagen imagem images thumbnail src";
const AVAILABLE: &str = "\
    available availability published instock verfugbar lieferbar disponible disponivel active \
    aktiv activo ativo";

const PURCHASED: &str = "\
    purchase purchased transaction buy bought order ordered sale sold pay paid payment \
    conversion kauf gekauft bestellung achat achete compra comprado venta venda checkout rent \
    rental";
const CARTED: &str = "cart addtocart atc basket warenkorb panier carrito carrinho add";
const LIKED: &str = "like fav favorite favourite favori wishlist save merkliste bookmark";
const VIEWED: &str = "\
    view viewed click clicked pv visit detail pageview impression ansicht vue vista play read";
const REMOVED: &str = "remove removed removefromcart delete unlike return refund cancel";

/// What an event's name stands for; `None` for others, such as a removal from the cart.
pub(super) fn action(value: &str) -> Option<Action> {
    let words = Words::of(value);
    let joined = words.joined();
    let is = |list: &str| words.has(list) || lists(list, &joined);
    if is(REMOVED) {
        return None;
    }
    // "add to cart" and "cart purchase" hold two words: the later step counts.
    if is(PURCHASED) {
        Some(Action::Purchase)
    } else if is(CARTED) {
        Some(Action::Cart)
    } else if is(LIKED) {
        Some(Action::Like)
    } else {
        is(VIEWED).then_some(Action::View)
    }
}

/// Whether the status of an order says that nothing was bought, or that it came back.
pub(super) fn is_void(status: &str) -> bool {
    const VOID: &str = "\
        cancel storn void refund unavailable annul anul rembours reembols rimbors fail reject \
        abgebrochen abgelehnt fehlgeschlagen return retour rto ruckgabe ruckerstatt zuruckge \
        gutschrift erstattet devol devuelt chargeback declined denied expired abandon";
    let joined = Words::of(status).joined();
    VOID.split_ascii_whitespace().any(|part| joined.starts_with(part))
}

/// Words of columns that tell of purchases that were taken back.
const VOIDED: &str = "\
    cancelled canceled cancel cancellation cancelation return returned returns refunded refund \
    refunds void voided annule annulee annulation anulado anulada cancelado cancelada devuelto \
    devuelta devolvido devolucion devolucao rembourse remboursement reembolso reembolsado \
    chargeback fraud fraudulent deleted rejected rto";
const VOIDED_PARTS: &str = "storn retour ruckgabe erstattung erstattet gutschrift";
/// A name with one of these tells of what may be, not of what was.
const NOT_VOIDED: &str = "\
    able accepted allowed eligible window policy days rate deadline until before by address \
    group variant customer user rates possible label";

/// Whether a column tells whether a purchase was taken back, or was only a test.
pub(super) fn says_void(name: &str) -> bool {
    const TESTS: &str = "test istest testorder istestorder testbestellung";
    let words = Words::of(name.rsplit('.').next().unwrap_or(name));
    let taken_back = words.has(VOIDED) || words.touches(VOIDED_PARTS);
    taken_back && !words.has(NOT_VOIDED) || lists(TESTS, &words.joined())
}

/// Whether a column says when or why something happened, so that an empty cell says that it did
/// not.
pub(super) fn says_when_or_why(name: &str) -> bool {
    let words = Words::of(name);
    words.has(TIME)
        || words.touches(TIME_PARTS)
        || words.has("reason reasons grund motivo raison motif razon")
}

/// Yes or no; `None` for everything else.
pub(super) fn yes_or_no(value: &str) -> Option<bool> {
    const YES: &str = "true yes y t 1 1.0 ja j wahr oui o vrai si s sim x verdadero";
    const NO: &str = "false no n f 0 0.0 nein falsch non faux nao falso";
    let plain = value.trim().to_lowercase().replace('í', "i").replace('ã', "a");
    match (lists(YES, &plain), lists(NO, &plain)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// How clearly a name says a role: 0 (not at all) to 3 (it can hardly be anything else).
pub(super) fn says(name: &str, role: Role) -> u32 {
    let words = Words::of(telling(name));
    let joined = words.joined();
    let joined = joined.as_str();
    match role {
        Role::Customer => customer(&words, joined),
        Role::Article => article(&words, joined),
        Role::Order if lists(ORDER_EXACT, joined) => 3,
        Role::Order if words.has("item line position dow hour status date time") => 0,
        Role::Order if words.touches(ORDER) && words.has(KEY) => 2,
        Role::Order => 0,
        Role::Time => time(&words),
        Role::Price if words.has(PRICE_BAD) || words.has(VOIDED) => 0,
        Role::Price if words.touches(VOIDED_PARTS) => 0,
        Role::Price if words.has("price preis prix precio preco") || words.touches(PRICE_PARTS) => {
            3
        }
        Role::Price if words.has(PRICE) => 1,
        Role::Price => 0,
        Role::Quantity if words.has("inventory photos") => 0,
        Role::Quantity if words.has(QUANTITY) => 3,
        Role::Quantity if joined == "amount" || joined == "count" => 1,
        Role::Quantity => 0,
        Role::Event if words.has(EVENT) && !words.has("time id date") => 2,
        Role::Event => 0,
        Role::Rating if words.has(RATING) && !words.has("number count average") => 3,
        Role::Rating => 0,
        Role::Channel => u32::from(words.has(CHANNEL)) * 2,
        Role::Status if words.has(STATUS) => 2,
        Role::Status => 0,
        Role::Title if words.has("file user customer category brand group") => 0,
        Role::Title if words.has("title titel titre titulo") => 3,
        Role::Title if words.has(TITLE) || words.touches("bezeichnung name") => 2,
        Role::Title => 0,
        Role::Image if words.has(IMAGE) && !words.has("alt position id qty count") => 2,
        Role::Image => 0,
        Role::Available => u32::from(words.has(AVAILABLE) || lists(AVAILABLE, joined)) * 2,
        Role::Sequence => match joined {
            "ordernumber" | "orderseq" | "ordersequence" | "visitnumber" | "sequence" => 2,
            _ => 0,
        },
    }
}

/// Of a nested key such as `details.brand` the last part tells, of `customer.id` the last two do.
/// `$date`, which MongoDB puts below a key for the type of its value, tells nothing.
fn telling(name: &str) -> &str {
    const BARE: &str = "id ids key uuid guid hash nr no number code ref";
    let name = name.find(".$").map_or(name, |dollar| &name[..dollar]);
    let Some((before, last)) = name.rsplit_once('.') else { return name };
    if !lists(BARE, &Words::of(last).joined()) {
        return last;
    }
    let start = before.rfind('.').map_or(0, |dot| dot + 1);
    &name[start..]
}

fn customer(words: &Words, joined: &str) -> u32 {
    if lists(CUSTOMER_EXACT, joined) {
        return 3;
    }
    if words.has(PROPERTY) && !(joined.ends_with("sessionid") || joined == "session") {
        return 0;
    }
    if words.has(CUSTOMER) || words.touches("kunden user") {
        return if words.has(KEY) || words.touches("nummer nr id") { 3 } else { 2 };
    }
    if words.has(EMAIL) {
        return 2;
    }
    u32::from(words.has("session"))
}

fn article(words: &Words, joined: &str) -> u32 {
    if lists(ARTICLE_EXACT, joined) {
        return 3;
    }
    // A line number within an order is called `order_item_id`.
    if words.has(ORDER) || words.has(CUSTOMER) {
        return 0;
    }
    let subject = words.has(ARTICLE) || words.touches("artikel produkt product");
    if words.has(PROPERTY) {
        // A name is an id where there is nothing better.
        let named = words.has("name title") && !words.has("category brand group type file");
        return u32::from(subject && named);
    }
    match (subject, words.has(KEY) || words.touches("nummer nr")) {
        (true, true) => 3,
        (true, false) => 2,
        _ => u32::from(words.has("ean gtin upc barcode")),
    }
}

fn time(words: &Words) -> u32 {
    if words.joined() == "t" {
        return 1;
    }
    if !(words.has(TIME) || words.touches(TIME_PARTS)) || words.has("zone total spent") {
        return 0;
    }
    match (
        words.has(TIME_BAD) || words.touches("geburt liefer storn retour ruckgabe"),
        words.touches(TIME_GOOD),
    ) {
        (true, _) => 1,
        (_, true) => 3,
        _ => 2,
    }
}

/// What a table of customers and articles holds, by the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// Orders, sales.
    Purchases,
    Unknown,
    /// All kinds of events, perhaps purchases among them.
    Events,
    /// Clicks, carts.
    Views,
    /// Returns, refunds.
    Returns,
}

impl Holds {
    /// Whether files of these names may be parts of one table, where they have the same columns.
    pub fn goes_with(self, other: Self) -> bool {
        let unclear = |holds| holds == Self::Unknown;
        let apart = |holds| matches!(holds, Self::Views | Self::Returns);
        self == other || (unclear(self) || unclear(other)) && !apart(self) && !apart(other)
    }

    /// Why a file of such a name holds no purchases; `None` where it may.
    pub fn no_purchases(self) -> Option<&'static str> {
        match self {
            Self::Returns => Some("its name says that it holds returns"),
            Self::Views => Some("its name says that it holds views or carts"),
            Self::Purchases | Self::Unknown | Self::Events => None,
        }
    }
}

const SALES: &str = "\
    orders order transactions transaction purchases purchase sales buys invoices bestellungen \
    rechnungen verkaufe commandes achats ventes pedidos compras ventas vendas lines";

pub(super) fn file_holds(stem: &str) -> Holds {
    const RETURNS: &str = "\
        returns return returned refunds refund refunded cancellations cancelled canceled retouren \
        retoure rucksendungen gutschriften storno stornos retours remboursements devoluciones \
        reembolsos devolucoes chargebacks";
    const VIEWS: &str = "\
        clicks click views view viewed visits pageviews impressions carts cart warenkorb wishlist \
        wishlists favorites favourites likes searches";
    const EVENTS: &str = "\
        events event interactions behaviour behaviours behavior behaviors activity activities log \
        logs ratings reviews";
    let words = Words::of(stem);
    if words.has(RETURNS) {
        Holds::Returns
    } else if words.has(SALES) {
        Holds::Purchases
    } else if words.has(VIEWS) {
        Holds::Views
    } else if words.has(EVENTS) {
        Holds::Events
    } else {
        Holds::Unknown
    }
}

/// What a table holds, by the name of its file.
pub(super) fn file_says(stem: &str) -> Option<Role> {
    let words = Words::of(stem);
    const ARTICLES: &str = "\
        articles article items item products product catalog catalogue movies books games \
        artikel artikelstamm produkte produits productos produtos articulos meta stammdaten skus \
        assortment";
    const CUSTOMERS: &str = "\
        customers customer users user clients members demographics kunden kundenstamm clientes \
        usuarios utilisateurs households people profiles";
    const EVENTS: &str = "events interactions ratings reviews clicks";
    // "order_products" and "order_items" are lines of orders.
    if words.has(SALES) || words.has(EVENTS) {
        Some(Role::Order)
    } else if words.has(CUSTOMERS) {
        Some(Role::Customer)
    } else {
        words.has(ARTICLES).then_some(Role::Article)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words() {
        for (name, words) in [
            ("InvoiceDate", vec!["invoice", "date"]),
            ("user_id", vec!["user", "id"]),
            ("Lineitem sku", vec!["lineitem", "sku"]),
            ("Stückpreis", vec!["stuckpreis"]),
            ("reviewerID", vec!["reviewer", "id"]),
            ("Preço (R$)", vec!["preco", "r"]),
        ] {
            assert_eq!(Words::of(name).0, words, "{name}");
        }
    }

    #[test]
    fn the_words_of_public_data_sets_say_their_roles() {
        for (role, names) in [
            (
                Role::Customer,
                &[
                    "CustomerID",
                    "reviewerID",
                    "household_id",
                    "visitorid",
                    "user_id",
                    "UserId",
                    "Kundennummer",
                    "id_cliente",
                    "uid",
                ][..],
            ),
            (
                Role::Article,
                &[
                    "StockCode",
                    "asin",
                    "product_id",
                    "itemid",
                    "ItemId",
                    "Lineitem sku",
                    "Artikelnr",
                    "id_producto",
                    "movie_id",
                ],
            ),
            (
                Role::Time,
                &[
                    "InvoiceDate",
                    "unixReviewTime",
                    "transaction_timestamp",
                    "event_time",
                    "Timestamp",
                    "Created at",
                    "Bestelldatum",
                    "t_dat",
                    "TRANSACTION_DT",
                ],
            ),
            (
                Role::Order,
                &[
                    "InvoiceNo",
                    "order_id",
                    "transactionid",
                    "BASKET_ID",
                    "Bestellnummer",
                    "pedido_id",
                ],
            ),
            (Role::Event, &["event", "event_type", "behaviour"]),
            (Role::Quantity, &["Quantity", "Lineitem quantity", "Menge", "qtd", "QUANTITY"]),
            (
                Role::Price,
                &["UnitPrice", "price", "Stückpreis", "Lineitem price", "SALES_VALUE", "precio"],
            ),
        ] {
            for name in names {
                assert!(says(name, role) >= 1, "{name} is {role:?}");
            }
        }
    }

    #[test]
    fn properties_are_no_ids() {
        for (name, role) in [
            ("product_category_name", Role::Article),
            ("order_item_id", Role::Article),
            ("PRODUCT_SUBCLASS", Role::Article),
            ("customer_city", Role::Customer),
            ("AGE_GROUP", Role::Customer),
            ("user_name", Role::Customer),
            ("freight_value", Role::Price),
            ("order_dow", Role::Order),
            ("timezone_total", Role::Time),
        ] {
            assert_eq!(says(name, role), 0, "{name}");
        }
        assert!(
            says("order_purchase_timestamp", Role::Time) > says("order_delivered_date", Role::Time)
        );
        assert!(says("customer_id", Role::Customer) > says("user_session", Role::Customer));
    }

    #[test]
    fn events_are_told_apart() {
        for (value, expected) in [
            ("purchase", Some(Action::Purchase)),
            ("transaction", Some(Action::Purchase)),
            ("addtocart", Some(Action::Cart)),
            ("add_to_cart", Some(Action::Cart)),
            ("pv", Some(Action::View)),
            ("product_view", Some(Action::View)),
            ("fav", Some(Action::Like)),
            ("remove_from_cart", None),
            ("hello", None),
        ] {
            assert_eq!(action(value), expected, "{value}");
        }
        assert!(is_void("canceled") && is_void("Storniert") && !is_void("delivered"));
    }
}
